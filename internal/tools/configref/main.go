// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

// Command configref writes docs/configuration.md: every setting of every component with its type, default, range,
// meaning and an example. Types and defaults come from the configuration structs, meanings from their comments, ranges
// from what Validate refuses, and examples from examples.yaml, so a setting cannot be in the code alone.
//
//	configref ROOT
package main

import (
	"fmt"
	"os"
	"path/filepath"
)

//go:generate go run . ../../..

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: configref ROOT")
		os.Exit(2)
	}
	root := os.Args[1]
	document, err := reference(root)
	if err == nil {
		err = os.WriteFile(filepath.Join(root, "docs", "configuration.md"), document, 0o644) //nolint:gosec // a document
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "configref:", err)
		os.Exit(1)
	}
}

// reference returns the document for the tree at root.
func reference(root string) ([]byte, error) {
	comments := sources{root: root, packages: map[string]map[string]string{}}
	used, err := readExamples(filepath.Join(root, "internal", "tools", "configref", "examples.yaml"))
	if err != nil {
		return nil, err
	}
	document := newDocument()
	for _, c := range components() {
		blocks, err := c.describe(&comments, used[c.section()])
		if err != nil {
			return nil, fmt.Errorf("%s: %w", c.section(), err)
		}
		document.add(c, blocks)
	}
	return document.bytes(), nil
}
