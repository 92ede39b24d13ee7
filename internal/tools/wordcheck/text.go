// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"path"
	"regexp"
	"strings"
	"unicode/utf8"
)

// shellFunction and luaFunction match the declaration of a function, with its name.
var (
	shellFunction = regexp.MustCompile(`^\s*([a-z_]+)\(\)`)
	luaFunction   = regexp.MustCompile(`^\s*(?:local )?function ([A-Za-z_]+)`)
)

// unbreakable matches a line that consists of a URL or of a link, with what Markdown, a list or a comment puts around
// it.
var unbreakable = regexp.MustCompile(`^[\s>#*-]*(?:(?:\[[^\]]*\]: ?)?<?https?://\S+|\[[^\]]*\]\(\S+\)\S?)$`)

// checkText checks a document, a script or a configuration file. Files that are not text have no findings.
func checkText(name, text string) []finding {
	if !utf8.ValidString(text) || strings.ContainsRune(text, 0) {
		return nil
	}
	var findings []finding
	if needsHeader(name, text) && !strings.Contains(text[:min(len(text), 300)], "SPDX-License-Identifier: Apache-2.0") {
		findings = append(findings, finding{name, 1, "header", "no SPDX-License-Identifier"})
	}
	number := 0
	for line := range strings.Lines(text) {
		number++
		line = strings.TrimRight(line, "\r\n")
		if columns(line) > maxColumns && !isUnbreakable(name, line) {
			findings = append(findings, finding{name, number, "line", "longer than 120 columns"})
		}
		if word := deniedWords.FindString(line); word != "" {
			findings = append(findings, finding{name, number, "word", word})
		}
		if function := functionIn(name, line); bareNames[function] {
			findings = append(findings, finding{name, number, "name", function})
		}
	}
	return findings
}

// needsHeader reports whether a file names its licence: scripts and configuration. The linter goheader checks Go files.
func needsHeader(name, text string) bool {
	switch path.Ext(name) {
	case ".lua", ".bash", ".yaml":
		return true
	default:
		return path.Base(name) == "Makefile" || strings.HasPrefix(text, "#!")
	}
}

// columns counts the columns of a line.
func columns(line string) int {
	tabs := strings.Count(line, "\t")
	return utf8.RuneCountInString(line) + tabs*(tabWidth-1)
}

// isUnbreakable reports whether a line cannot be broken: a row of a table, a URL, a version of a module.
func isUnbreakable(name, line string) bool {
	switch path.Ext(name) {
	case ".md":
		return strings.HasPrefix(strings.TrimSpace(line), "|") || unbreakable.MatchString(line)
	case ".mod":
		return true
	default:
		return unbreakable.MatchString(line)
	}
}

// functionIn returns the name of the function that a line of a script declares, or "".
func functionIn(name, line string) string {
	pattern := shellFunction
	if path.Ext(name) == ".lua" {
		pattern = luaFunction
	}
	if match := pattern.FindStringSubmatch(line); match != nil {
		return match[1]
	}
	return ""
}
