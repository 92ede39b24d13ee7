// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package graphql

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// PathMatches compares a path with a pattern of response keys, list places and *; ** in front is any beginning.
func PathMatches(pattern string, path []any) bool {
	tail, anywhere := strings.CutPrefix(pattern, "**.")
	parts := strings.Split(tail, ".")
	if anywhere && len(path) > len(parts) {
		path = path[len(path)-len(parts):]
	}
	return slices.EqualFunc(
		parts, path, func(part string, element any) bool { return part == "*" || part == pathElement(element) },
	)
}

func pathElement(v any) string {
	if n, ok := v.(int); ok {
		return strconv.Itoa(n)
	}
	return fmt.Sprint(v)
}
