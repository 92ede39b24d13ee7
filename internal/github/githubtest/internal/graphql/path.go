// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package graphql

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// PathMatches reports whether a path matches a pattern: response keys, list indexes and * (any one element), joined by
// dots. "**." in front matches any beginning, an empty one too.
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

// pathElement returns a key or an index as a pattern has it.
func pathElement(v any) string {
	if n, ok := v.(int); ok {
		return strconv.Itoa(n)
	}
	return fmt.Sprint(v)
}
