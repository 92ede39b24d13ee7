// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"regexp"
	"strings"
	"unicode"
)

// maxColumns is the length of a line, with a tab as tabWidth columns.
const (
	maxColumns = 120
	tabWidth   = 4
)

// bareNames are too general to be the whole name of a function, a method, a type, a variable or a field: a reader has
// to open them to learn what they mean. The comparison ignores case.
var bareNames = setOf(
	"take", "give", "tell", "told", "keep", "look", "let", "say", "said", "come", "came", "settle", "rest", "begin",
	"end",
	"done", "whole", "known", "aside", "together", "strangers", "meet", "learn",
)

// partners allow a bare name in a type that declares its partner too: an interval has a start and an end, and a
// reservation is reserved and settled.
var partners = map[string]string{"end": "start", "settle": "reserve"}

// deniedInNames are no part of a name either.
var deniedInNames = setOf(
	"nobody", "somebody", "everybody", "told", "untold", "vain", "anew", "honest", "honestly", "strangers", "aside",
)

// deniedWords are replaced by the technical word, in comments, messages and documents.
var deniedWords = regexp.MustCompile(`(?i)\b(nobody|somebody|everybody|whoever|told|untold|tells|anew|` +
	`honest(?:ly)?|in vain|puts? off|putting off|out of reach|never mind|loses? its memory|` +
	`lost its memory|without a sign|no sign of)\b`)

// setOf returns a set of words.
func setOf(words ...string) map[string]bool {
	set := make(map[string]bool, len(words))
	for _, word := range words {
		set[word] = true
	}
	return set
}

// words splits a name at its capitals and underscores: "toldEnd" is "told" and "end".
func words(name string) []string {
	var list []string
	start := 0
	runes := []rune(name)
	for i := 1; i <= len(runes); i++ {
		if i < len(runes) && runes[i] != '_' && (!unicode.IsUpper(runes[i]) || unicode.IsUpper(runes[i-1])) {
			continue
		}
		if word := strings.Trim(strings.ToLower(string(runes[start:i])), "_"); word != "" {
			list = append(list, word)
		}
		start = i
	}
	return list
}

// deniedIn returns the first part of a name that no name may have, or "".
func deniedIn(name string) string {
	for _, word := range words(name) {
		if deniedInNames[word] {
			return word
		}
	}
	return ""
}
