// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var root = filepath.Join("..", "..", "..")

// TestDocumentIsGenerated: docs/configuration.md is that of the code.
func TestDocumentIsGenerated(t *testing.T) {
	t.Parallel()
	want, err := reference(root)
	require.NoError(t, err)
	got, err := os.ReadFile(filepath.Join(root, "docs", "configuration.md"))
	require.NoError(t, err)
	require.Equal(t, string(want), string(got), "run make generate")
}

// TestAllComponentsAreDescribed compares the components with the folders that have a factory.
func TestAllComponentsAreDescribed(t *testing.T) {
	t.Parallel()
	var folders, listed []string
	for _, kind := range []string{"receiver", "extension", "processor", "exporter", "connector"} {
		files, err := filepath.Glob(filepath.Join(root, kind, "*", "factory.go"))
		require.NoError(t, err)
		for _, file := range files {
			folder, err := filepath.Rel(root, filepath.Dir(file))
			require.NoError(t, err)
			folders = append(folders, folder)
		}
	}
	for _, c := range components() {
		listed = append(listed, c.folder)
	}
	require.ElementsMatch(t, folders, listed)
}

// settings returns the settings of all components with what was found out about their ranges.
func settings(t *testing.T) []probed {
	t.Helper()
	used, err := readExamples("examples.yaml")
	require.NoError(t, err)
	var list []probed
	for _, c := range components() {
		r, err := c.read(&sources{root: root, packages: map[string]map[string]string{}}, used[c.section()])
		require.NoError(t, err)
		list = append(list, r.probed...)
	}
	require.Greater(t, len(list), 100)
	return list
}

var (
	wholeRange = regexp.MustCompile(`^(\S+) to (less than )?(\S+?)(?:, at most .* of (\S+))?$`)
	atLeast    = regexp.MustCompile(`^0s \(never\) or at least (\S+)$`)
)

// TestBoundsOfRanges: of each range of numbers and durations the ends are accepted, and the values beside them refused.
func TestBoundsOfRanges(t *testing.T) {
	t.Parallel()
	count := 0
	for _, s := range settings(t) {
		kind := s.value.Kind()
		if kind != reflect.Int && kind != reflect.Int64 {
			continue
		}
		if found := atLeast.FindStringSubmatch(s.text); found != nil {
			requireBounds(t, s, number(t, found[1]), -1)
			count++
		}
		found := wholeRange.FindStringSubmatch(s.text)
		if found == nil {
			continue
		}
		most := number(t, found[3])
		if found[4] != "" {
			most = number(t, found[4])
		}
		if found[2] != "" {
			most--
		}
		requireBounds(t, s, number(t, found[1]), most)
		count++
	}
	require.Greater(t, count, 35)
}

// requireBounds requires that the ends of a range are accepted, and the values beside them refused. A negative upper
// end is none.
func requireBounds(t *testing.T, s probed, least, most int64) {
	t.Helper()
	before := s.value.Int()
	defer s.value.SetInt(before)
	for value, ok := range map[int64]bool{least: true, least - 1: false, most: true, most + 1: false} {
		if most < 0 && (value == most || value == most+1) {
			continue
		}
		s.value.SetInt(value)
		require.Equal(t, ok, s.refused() == "", "%s: %d, documented %s", s.path, value, s.text)
	}
}

func number(t *testing.T, text string) int64 {
	t.Helper()
	if d, err := time.ParseDuration(text); err == nil && !regexp.MustCompile(`^\d+$`).MatchString(text) {
		return int64(d)
	}
	n, err := strconv.ParseInt(text, 10, 64)
	require.NoError(t, err)
	return n
}

// TestValuesOfEnumerations: each documented value is accepted.
func TestValuesOfEnumerations(t *testing.T) {
	t.Parallel()
	enumeration := regexp.MustCompile(`^[a-z_]+(, [a-z_]+)+$`)
	count := 0
	for _, s := range settings(t) {
		if s.value.Kind() != reflect.String || !enumeration.MatchString(s.text) {
			continue
		}
		before := s.value.String()
		for value := range strings.SplitSeq(s.text, ", ") {
			s.value.SetString(value)
			require.Empty(t, wanted(s.block.Validate(), lastKey(s.path)), "%s: %s", s.path, value)
		}
		s.value.SetString(before)
		count++
	}
	require.GreaterOrEqual(t, count, 10)
}

// TestSharedCommentIsMissing: a field that shares its comment with the one before it has none of its own.
func TestSharedCommentIsMissing(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(folder, "c.go"), []byte("package c\n\ntype Config struct {\n"+
		"\t// First and Second are two.\n\tFirst int\n\tSecond int\n}\n\ntype Other Config\n"), 0o600))
	comments, err := fieldComments(folder)
	require.NoError(t, err)
	require.Equal(t, "First and Second are two.\n", comments["Other.First"])
	require.Empty(t, comments["Config.Second"])
}

// TestKeysOfMigration: each key that docs/migration.md recommends is a setting, or a key of a block of the collector.
func TestKeysOfMigration(t *testing.T) {
	t.Parallel()
	known := knownPaths(t)
	text, err := os.ReadFile(filepath.Join(root, "docs", "migration.md"))
	require.NoError(t, err)
	count := 0
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(line, "|")
		if len(cells) < 4 || strings.Contains(cells[2], "gh_") {
			continue
		}
		for _, found := range regexp.MustCompile("`([a-z_0-9\\[\\]:]+)`").FindAllStringSubmatch(cells[2], -1) {
			key := found[1]
			if strings.Contains(key, "::") && !regexp.MustCompile("^(service|exporters|extensions)::").MatchString(key) {
				require.Contains(t, known, strings.TrimSuffix(key, "::insecure_skip_verify"))
				count++
			}
		}
	}
	require.Greater(t, count, 60)
}

// knownPaths returns the paths of all settings and blocks, as documents write them.
func knownPaths(t *testing.T) map[string]bool {
	t.Helper()
	used, err := readExamples("examples.yaml")
	require.NoError(t, err)
	paths := map[string]bool{}
	for _, c := range components() {
		blocks, err := c.describe(&sources{root: root, packages: map[string]map[string]string{}}, used[c.section()])
		require.NoError(t, err)
		for _, of := range blocks {
			for _, row := range of.settings {
				paths[join(title(of.path), row.key)] = true
			}
		}
	}
	return paths
}

// TestTexts shows what becomes of a comment.
func TestTexts(t *testing.T) {
	t.Parallel()
	for comment, want := range map[string][2]string{
		"Name is the login of it.\nDefault: required.":        {"the login of it.", "required"},
		"Name bounds it: see docs/github.md.":                 {"bounds it: see [github.md](./github.md).", ""},
		"Name is a. Default: twice emit_interval. Not alone.": {"a. Not alone.", "twice emit_interval"},
	} {
		text, defaultText := meaning("Name", comment)
		require.Equal(t, want, [2]string{text, defaultText})
	}
	require.Equal(t, [][2]string{{"a", "One, over lines."}, {"b", "Two."}},
		items("Some:\n  - a: One,\n    over lines.\n  - b: Two.\n"))
	require.Equal(t, "24h to less than 15s, 1m, 1h30m", shortDurations("24h0m0s to 14.999999999s, 1m0s, 1h30m0s"))
	for line := range strings.SplitSeq(wrapped(strings.Repeat("word ", 100)), "\n") {
		require.LessOrEqual(t, len(line), 118)
	}
}
