// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package tools

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// root is the folder of the repository.
var root = filepath.Join("..", "..")

// readFile returns a file of the repository.
func readFile(t *testing.T, path ...string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(append([]string{root}, path...)...))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestGlossaryIsSmall holds the number of terms at 50 and each term at one meaning.
func TestGlossaryIsSmall(t *testing.T) {
	const most = 50
	rows := regexp.MustCompile(`(?m)^\| ([^|]+) \| [^|]+ \|$`).FindAllStringSubmatch(readFile(t, "docs", "glossary.md"),
		-1)
	count := 0
	seen := map[string]bool{}
	for _, row := range rows {
		if row[1] == "term" {
			continue
		}
		count++
		for term := range strings.SplitSeq(row[1], ", ") {
			if seen[term] {
				t.Errorf("%q has two rows", term)
			}
			seen[term] = true
		}
	}
	if count == 0 || count > most {
		t.Errorf("docs/glossary.md has %d rows, want 1 to %d", count, most)
	}
}

// TestDecisionsAreListed compares the index of the decisions with the folder and with the titles.
func TestDecisionsAreListed(t *testing.T) {
	index := readFile(t, "docs", "decisions", "README.md")
	files, err := filepath.Glob(filepath.Join(root, "docs", "decisions", "[0-9]*.md"))
	if err != nil || len(files) == 0 {
		t.Fatalf("found %d decisions: %v", len(files), err)
	}
	for _, file := range files {
		name := filepath.Base(file)
		title, _, _ := strings.Cut(readFile(t, "docs", "decisions", name), "\n")
		line := "- [" + strings.TrimPrefix(title, "# ") + "](./" + name + ")"
		if !strings.Contains(index, line+"\n") && !strings.Contains(index, line+":") {
			t.Errorf("docs/decisions/README.md lacks the line %q", line)
		}
	}
	if listed := strings.Count(index, "](./0"); listed != len(files) {
		t.Errorf("docs/decisions/README.md lists %d decisions, want %d", listed, len(files))
	}
}

// TestFoldersAreListed compares the folders with Go code and the list of CONTRIBUTING.md.
func TestFoldersAreListed(t *testing.T) {
	listed := map[string]bool{}
	for _, line := range regexp.MustCompile(`(?m)^    ([a-z0-9./-]+) {2,}\S`).FindAllStringSubmatch(readFile(t,
		"CONTRIBUTING.md"), -1) {
		listed[line[1]] = true
	}
	folders := goFolders(t)
	for folder := range folders {
		if !listed[folder] {
			t.Errorf("CONTRIBUTING.md does not list the folder %s", folder)
		}
	}
	for folder := range listed {
		if info, err := os.Stat(filepath.Join(root, folder)); err != nil || !info.IsDir() {
			t.Errorf("CONTRIBUTING.md lists %s, which is no folder", folder)
		}
	}
}

// goFolders returns the folders with Go code that is written by hand.
func goFolders(t *testing.T) map[string]bool {
	t.Helper()
	folders := map[string]bool{}
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		name := entry.Name()
		if entry.IsDir() && (slices.Contains([]string{"_build", "bin", "data", "testdata", "metadata", "metadatatest"},
			name) ||
			strings.HasPrefix(name, ".") && strings.Trim(name, ".") != "") {
			return filepath.SkipDir
		}
		if err == nil && filepath.Ext(name) == ".go" && !strings.HasPrefix(name, "generated_") {
			folder, relErr := filepath.Rel(root, filepath.Dir(path))
			folders[filepath.ToSlash(folder)] = true
			return relErr
		}
		return err
	})
	if err != nil || len(folders) == 0 {
		t.Fatalf("found %d folders: %v", len(folders), err)
	}
	return folders
}

// TestLintersExist compares the linters that CONTRIBUTING.md names with those that .golangci.yaml enables.
func TestLintersExist(t *testing.T) {
	_, section, found := strings.Cut(readFile(t, "CONTRIBUTING.md"), "\n## Lint and format\n")
	if !found {
		t.Fatal("CONTRIBUTING.md has no section on linters")
	}
	section, _, _ = strings.Cut(section, "\n## ")
	rules := readFile(t, ".golangci.yaml")
	rows := regexp.MustCompile("(?m)^\\| `([a-z]+)`").FindAllStringSubmatch(section, -1)
	if len(rows) == 0 {
		t.Error("CONTRIBUTING.md names no linter")
	}
	for _, row := range rows {
		if !regexp.MustCompile(`(?m)^    - ` + row[1] + `$`).MatchString(rules) {
			t.Errorf("CONTRIBUTING.md names the linter %s, which .golangci.yaml does not enable", row[1])
		}
	}
}

// TestWalksExist checks that each file of the walks in docs/architecture.md exists and has the name beside it.
func TestWalksExist(t *testing.T) {
	steps := regexp.MustCompile("(?m)^[0-9]+\\. `([^`]+)` `([^`]+)`: ").
		FindAllStringSubmatch(readFile(t, "docs", "architecture.md"), -1)
	if len(steps) < 20 {
		t.Fatalf("found %d steps", len(steps))
	}
	for _, step := range steps {
		text, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(step[1])))
		if err != nil {
			t.Error(err)
		} else if !regexp.MustCompile(`\b` + step[2] + `\b`).Match(text) {
			t.Errorf("%s does not have %s", step[1], step[2])
		}
	}
}

// TestLinksExist checks that the files and the headings exist to which documents link.
func TestLinksExist(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)#\s]*)(?:#([^)\s]*))?\)`)
	documents := markdownFiles(t)
	anchors := 0
	for path, text := range documents {
		for _, match := range link.FindAllStringSubmatch(text, -1) {
			if strings.Contains(match[1], "://") {
				continue
			}
			target := path
			if match[1] != "" {
				target = filepath.Join(filepath.Dir(path), filepath.FromSlash(match[1]))
			}
			if _, err := os.Stat(target); err != nil {
				t.Errorf("%s: %v", path, err)
			} else if match[2] != "" {
				anchors++
				if !slices.Contains(headings(documents[target]), match[2]) {
					t.Errorf("%s links to %s, which has no heading #%s", path, target, match[2])
				}
			}
		}
	}
	if anchors < 20 {
		t.Errorf("found %d links to headings", anchors)
	}
}

// markdownFiles returns the texts of the documents of the tree by path.
func markdownFiles(t *testing.T) map[string]string {
	t.Helper()
	documents := map[string]string{}
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		name := entry.Name()
		if entry.IsDir() && (slices.Contains([]string{"_build", "bin", "data", "node_modules"}, name) ||
			strings.HasPrefix(name, ".") && strings.Trim(name, ".") != "") {
			return filepath.SkipDir
		}
		if err != nil || filepath.Ext(name) != ".md" {
			return err
		}
		text, err := os.ReadFile(path)
		documents[path] = string(text)
		return err
	})
	if err != nil || len(documents) < 10 {
		t.Fatalf("found %d documents: %v", len(documents), err)
	}
	return documents
}

// headings returns the anchors of a document's headings, as GitHub makes them.
func headings(text string) []string {
	var anchors []string
	text = regexp.MustCompile("(?ms)^```.*?^```$").ReplaceAllString(text, "")
	for _, match := range regexp.MustCompile(`(?m)^#+ (.+)$`).FindAllStringSubmatch(text, -1) {
		title := regexp.MustCompile(`\[([^\]]*)\]\([^)]*\)`).ReplaceAllString(match[1], "$1")
		anchor := regexp.MustCompile(`[^\pL\pN _-]`).ReplaceAllString(strings.ToLower(title), "")
		anchor = strings.ReplaceAll(anchor, " ", "-")
		for i, first := 1, anchor; slices.Contains(anchors, anchor); i++ {
			anchor = first + "-" + strconv.Itoa(i)
		}
		anchors = append(anchors, anchor)
	}
	return anchors
}
