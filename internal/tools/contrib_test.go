// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package tools

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

// vcsMetrics returns the metrics vcs.* that a YAML text describes with an indentation, with their attributes.
func vcsMetrics(t *testing.T, text, indent string) map[string][]string {
	t.Helper()
	metrics := map[string][]string{}
	entry := regexp.MustCompile(`(?m)^` + indent + `(vcs\.\S+):\n((?:` + indent + `  .*\n)+)`)
	for _, match := range entry.FindAllStringSubmatch(text, -1) {
		_, list, found := strings.Cut(match[2], "attributes:")
		if !found {
			t.Errorf("%s has no attributes", match[1])
		}
		metrics[match[1]] = regexp.MustCompile(`vcs\.[a-z_.]+`).FindAllString(list, -1)
	}
	return metrics
}

// TestContribSideBySide puts the metrics of contrib's receiver beside those of metadata.yaml: the table of
// docs/migration.md has each of contrib's, and says which of them are here. One that is here has at least its
// attributes, and none of ours has a name of its own in the name space of the conventions.
func TestContribSideBySide(t *testing.T) {
	theirs := vcsMetrics(t, readFile(t, "internal", "tools", "testdata", "contrib-github.yaml"), "")
	_, metadata, _ := strings.Cut(readFile(t, "metadata.yaml"), "\nmetrics:\n")
	ours := vcsMetrics(t, metadata, "  ")
	if len(theirs) != 10 || len(ours) != 10 {
		t.Fatalf("contrib has %d metrics, this receiver %d", len(theirs), len(ours))
	}
	rows := map[string]string{}
	row := regexp.MustCompile("(?m)^\\| `(vcs\\.\\S+)` \\| (\\S+) \\|")
	for _, match := range row.FindAllStringSubmatch(readFile(t, "docs", "migration.md"), -1) {
		rows[match[1]] = strings.Trim(match[2], "`")
	}
	for name, attributes := range theirs {
		same, isHere := ours[name]
		want := "none"
		if isHere {
			want = name
		}
		if rows[name] != want {
			t.Errorf("docs/migration.md has %q beside contrib's %s, want %q", rows[name], name, want)
		}
		for _, attribute := range attributes {
			if isHere && !slices.Contains(same, attribute) {
				t.Errorf("%s has no attribute %s, contrib's has it", name, attribute)
			}
		}
	}
	for name := range ours {
		if _, there := theirs[name]; !there {
			t.Errorf("%s is no metric of contrib's", name)
		}
	}
}
