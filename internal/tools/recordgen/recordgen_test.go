// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const folder = "../../../receiver/githubexporter/internal/"

// TestTableIsGenerated checks that the table in the tree is the one of the builder in the tree.
func TestTableIsGenerated(t *testing.T) {
	t.Parallel()
	target := filepath.Join(t.TempDir(), "table.go")
	if err := run(folder+"metadata/generated_metrics.go", target); err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile(target)
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(folder + "emit/generated_records.go")
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != string(want) {
		t.Error("generated_records.go is not what recordgen writes: run make generate")
	}
}

// TestOtherMetricsAreLeftOut checks that a metric with other labels, or of another family, is not in the table.
func TestOtherMetricsAreLeftOut(t *testing.T) {
	t.Parallel()
	source := func(metric, parameters string) []byte {
		return []byte("package metadata\n\n// RecordX adds a data point to " + metric + " metric.\nfunc (mb *B) RecordX(" +
			parameters + ") {}\n")
	}
	const all = "orgAttributeValue string, repoAttributeValue string, userAttributeValue string"
	methods, err := recordMethods(source("gh.activity.x", all))
	if err != nil || len(methods) != 1 || methods[0] != (method{"RecordX", "gh.activity.x"}) {
		t.Errorf("got %v, %v", methods, err)
	}
	for metric, parameters := range map[string]string{
		"github.api.x":  all,
		"gh.activity.x": strings.Replace(all, "user", "kind", 1),
	} {
		if methods, err := recordMethods(source(metric, parameters)); err == nil {
			t.Errorf("%s: got %v", metric, methods)
		}
	}
}
