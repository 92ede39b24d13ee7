// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubtest

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"

	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest/internal/graphql"
)

// replaceValues replaces the values at the path of an effect in a body, or in its part with the key below.
func replaceValues(body []byte, e Effect, below string) []byte {
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	var root any
	if err := decoder.Decode(&root); err != nil {
		return body
	}
	part := root
	if object, ok := root.(map[string]any); ok && below != "" {
		part = object[below]
	}
	replaceBelow(part, nil, e)
	changed, err := json.Marshal(root)
	if err != nil {
		panic(err) // the effect's value is no JSON
	}
	return changed
}

// replaceBelow replaces the values at the path of an effect in a value, which is at a path itself.
func replaceBelow(value any, path []any, e Effect) {
	visit := func(key, below any, set func(any)) {
		at := append(slices.Clip(path), key)
		if graphql.PathMatches(e.Path, at) {
			set(e.Value)
			return
		}
		replaceBelow(below, at, e)
	}
	switch value := value.(type) {
	case map[string]any:
		for key, below := range value {
			visit(key, below, func(v any) { value[key] = v })
		}
	case []any:
		for i, below := range value {
			visit(i, below, func(v any) { value[i] = v })
		}
	}
}

// replaceFaultValues replaces values in a JSON response when that is the effect; see replaceValues.
func (x *exchange) replaceFaultValues(a response, below string) response {
	if x.fault != nil && x.fault.Kind == KindValue && strings.HasPrefix(a.header.Get("Content-Type"),
		"application/json") {
		a.body = replaceValues(a.body, *x.fault, below)
	}
	return a
}
