// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package graphql

import (
	"encoding/json"
	"fmt"
	"time"
)

// args are the arguments of a field, with the values of variables.
type args map[string]any

func (a args) str(name string) string {
	s, _ := a[name].(string)
	return s
}

func (a args) flag(name string) bool {
	b, _ := a[name].(bool)
	return b
}

func (a args) num(name string) (int, bool) {
	switch n := a[name].(type) {
	case int:
		return n, true
	case int64:
		return int(n), true
	case float64:
		return int(n), true
	case json.Number:
		i, err := n.Int64()
		return int(i), err == nil
	default:
		return 0, false
	}
}

// strs returns a list of strings; a single string is a list of one.
func (a args) strs(name string) []string {
	switch v := a[name].(type) {
	case string:
		return []string{v}
	case []string:
		return v
	case []any:
		out := make([]string, 0, len(v))
		for _, e := range v {
			out = append(out, fmt.Sprint(e))
		}
		return out
	default:
		return nil
	}
}

func (a args) sub(name string) args {
	m, _ := a[name].(map[string]any)
	return m
}

// time returns a DateTime or GitTimestamp, the zero time for none.
func (a args) time(name string) (time.Time, error) {
	s := a.str(name)
	if s == "" {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return t, &fieldError{message: fmt.Sprintf("`%s` is not a valid time: %.64q", name, s)}
	}
	return t, nil
}

// order returns the field of an orderBy argument, the given one without it, and whether the order is descending.
func (a args) order(field string) (string, bool) {
	o := a.sub("orderBy")
	if o == nil {
		return field, false
	}
	return o.str("field"), o.str("direction") == "DESC"
}

func number(a args) int {
	n, _ := a.num("number")
	return n
}
