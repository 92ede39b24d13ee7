// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

// Package pattern matches logins and names of repositories against the patterns of a configuration. `*` stands for any
// number of characters and `?` for one; every other character stands for itself, so that "dependabot[bot]" matches that
// login. Case is ignored, as GitHub ignores it in both
// (https://docs.github.com/rest/repos/repos#get-a-repository).
package pattern

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// Pattern matches names. Its zero value matches none. It is safe for concurrent use.
type Pattern struct {
	text string
	expr *regexp.Regexp
}

// ErrEmpty is the error of a pattern without a character: no name is empty.
var ErrEmpty = errors.New("the pattern is empty")

// wildcards replaces the wildcards, as regexp.QuoteMeta escapes them, by expressions.
var wildcards = strings.NewReplacer(`\*`, `.*`, `\?`, `.`, `\\`, `\\`)

// Compile parses a pattern. Matching takes time in proportion to the length of the name, whatever the pattern is.
func Compile(text string) (Pattern, error) {
	if text == "" {
		return Pattern{}, ErrEmpty
	}
	expr, err := regexp.Compile(`(?is)\A` + wildcards.Replace(regexp.QuoteMeta(text)) + `\z`)
	if err != nil {
		return Pattern{}, fmt.Errorf("pattern %q: %w", text, err) // too long for an expression, or not UTF-8
	}
	return Pattern{text: text, expr: expr}, nil
}

// String returns the text of the pattern.
func (p Pattern) String() string { return p.text }

// Match reports whether the whole name matches.
func (p Pattern) Match(name string) bool { return p.expr != nil && p.expr.MatchString(name) }

// List matches a name that one of its patterns matches. The empty list matches none.
type List []Pattern

// CompileList parses patterns. Its error is that of the first invalid one.
func CompileList(texts []string) (List, error) {
	list := make(List, len(texts))
	for i, text := range texts {
		var err error
		if list[i], err = Compile(text); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// Match reports whether one of the patterns matches.
func (l List) Match(name string) bool {
	for i := range l {
		if l[i].Match(name) {
			return true
		}
	}
	return false
}
