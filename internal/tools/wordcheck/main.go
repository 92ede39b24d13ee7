// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

// Command wordcheck fails when the sources of this tree use a name or a word that the vocabulary of docs/glossary.md
// replaces, a line that is longer than 120 columns, or a script without its licence. `make lint` runs it; its tests
// prove that each rule fires.
//
//	wordcheck FOLDER
package main

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: wordcheck FOLDER")
		os.Exit(2)
	}
	findings, err := checkTree(os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, "wordcheck:", err)
		os.Exit(2)
	}
	for _, f := range findings {
		fmt.Println(f)
	}
	if len(findings) > 0 {
		fmt.Fprintf(os.Stderr, "wordcheck: %d findings; docs/glossary.md has the words to use instead\n", len(findings))
		os.Exit(1)
	}
}

// finding is one violation. Rule is "name", "word", "line" or "header".
type finding struct {
	file string
	line int
	rule string
	text string
}

func (f finding) String() string { return fmt.Sprintf("%s:%d: %s: %s", f.file, f.line, f.rule, f.text) }

// skippedFolders are folders without sources of this tree: what builds, tests and runs make, and test data.
var skippedFolders = []string{".git", ".cache", "_build", "bin", "data", "testdata", "coverage"}

// skippedFiles are not written in this tree, or their words are a rule's own: licences, sums of modules, documents that
// mdatagen generates, dashboards that a command generates, GitHub's GraphQL schema, and the lists of this command.
var skippedFiles = []string{
	"LICENSE", "go.sum", "documentation.md", "schema.graphql",
	"deploy/grafana/copilot.json", "deploy/grafana/engineering.json", "deploy/grafana/exporter.json",
	"deploy/grafana/organization.json",
	"internal/tools/wordcheck/rules.go", "internal/tools/wordcheck/wordcheck_test.go",
}

// checkTree checks each source file below root. It returns the findings in the order of the files, then of the lines.
func checkTree(root string) ([]finding, error) {
	var findings []finding
	folders := map[string]*goPackage{}
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		name = filepath.ToSlash(name)
		if entry.IsDir() {
			if slices.Contains(skippedFolders, entry.Name()) {
				return filepath.SkipDir
			}
			return nil
		}
		if !entry.Type().IsRegular() || slices.Contains(skippedFiles, name) ||
			slices.Contains(skippedFiles, entry.Name()) {
			return nil
		}
		text, err := os.ReadFile(path) //nolint:gosec // the tree that the caller names
		if err != nil {
			return err
		}
		if filepath.Ext(name) != ".go" {
			findings = append(findings, checkText(name, string(text))...)
			return nil
		}
		folder := filepath.Dir(name)
		if folders[folder] == nil {
			folders[folder] = newGoPackage()
		}
		return folders[folder].add(name, string(text))
	})
	for _, p := range folders {
		findings = append(findings, p.check()...)
	}
	slices.SortStableFunc(findings, func(a, b finding) int {
		if order := strings.Compare(a.file, b.file); order != 0 {
			return order
		}
		return a.line - b.line
	})
	return findings, err
}
