// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubtest

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
)

// maxLine bounds a line of a dataset file.
const maxLine = 1 << 20

// ErrDataset is the error of a dataset that contradicts itself.
var ErrDataset = errors.New("dataset is inconsistent")

// LoadDataset reads org.json, repos.jsonl, commits.jsonl, pulls.jsonl, reviews.jsonl, issue_comments.jsonl and, where
// they exist, issues.jsonl and users.jsonl. Fields that it does not know are errors, and errors name the file and the line.
func LoadDataset(fsys fs.FS) (*Dataset, error) {
	var d Dataset
	if err := readObject(fsys, "org.json", &d.Org); err != nil {
		return nil, err
	}
	err := errors.Join(
		readLines(fsys, "repos.jsonl", &d.Repos),
		readLines(fsys, "commits.jsonl", &d.Commits),
		readLines(fsys, "pulls.jsonl", &d.Pulls),
		readLines(fsys, "reviews.jsonl", &d.Reviews),
		readLines(fsys, "issue_comments.jsonl", &d.Comments),
		readOptional(readLines(fsys, "issues.jsonl", &d.Issues)),
		readOptional(readLines(fsys, "users.jsonl", &d.Users)),
	)
	if err != nil {
		return nil, err
	}
	return &d, d.Validate()
}

func readOptional(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

func readObject(fsys fs.FS, name string, into any) error {
	b, err := fs.ReadFile(fsys, name)
	if err != nil {
		return err
	}
	if err := decodeStrict(b, into); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

func readLines[T any](fsys fs.FS, name string, into *[]T) error {
	f, err := fsys.Open(name)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	rows, err := decodeLines[T](f, name)
	*into = rows
	return err
}

func decodeLines[T any](r io.Reader, name string) ([]T, error) {
	var rows []T
	sc := bufio.NewScanner(r)
	sc.Buffer(nil, maxLine)
	line := 1
	for ; sc.Scan(); line++ {
		if len(bytes.TrimSpace(sc.Bytes())) == 0 {
			continue
		}
		var row T
		if err := decodeStrict(sc.Bytes(), &row); err != nil {
			return nil, fmt.Errorf("%s:%d: %w", name, line, err)
		}
		rows = append(rows, row)
	}
	if err := sc.Err(); err != nil {
		return nil, fmt.Errorf("%s:%d: %w", name, line, err)
	}
	return rows, nil
}

func decodeStrict(b []byte, into any) error {
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		return err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errors.New("more than one JSON value")
	}
	return nil
}

// Validate checks what the server relies on: names are set and unique, rows refer to repositories and pull requests
// that exist, counts are right.
func (d *Dataset) Validate() error {
	if d.Org.Login == "" {
		return fmt.Errorf("%w: org.json: no org", ErrDataset)
	}
	v := rowChecks{repos: map[string]bool{}, pulls: map[string]bool{}, seen: map[string]bool{}}
	for _, r := range d.Repos {
		v.requireUnique("repository", r.Name)
		v.repos[r.Name] = true
	}
	for _, r := range d.Commits {
		v.requireRepo("commit", r.Repo)
		v.requireUnique("commit", r.Repo+"@"+r.SHA)
	}
	for _, r := range d.Pulls {
		v.requireRepo("pull", r.Repo)
		key := fmt.Sprintf("%s#%d", r.Repo, r.Number)
		v.requireUnique("pull", key)
		v.pulls[key] = true
	}
	for _, r := range d.Reviews {
		v.checkReview(r)
	}
	for _, r := range d.Comments {
		v.requireRepo("comment", r.Repo)
		v.requireUnique("comment", fmt.Sprintf("%s/%d", r.Repo, r.ID))
	}
	for _, r := range d.Issues {
		v.requireRepo("issue", r.Repo)
		key := fmt.Sprintf("%s#%d", r.Repo, r.Number)
		v.requireUnique("issue", key)
		if v.pulls[key] {
			v.addError("issue %s is a pull request", key)
		}
	}
	v.checkCounts(d)
	return errors.Join(v.errs...)
}

type rowChecks struct {
	repos, pulls, seen map[string]bool
	errs               []error
}

func (v *rowChecks) addError(format string, args ...any) {
	if len(v.errs) < 10 {
		v.errs = append(v.errs, fmt.Errorf("%w: %s", ErrDataset, fmt.Sprintf(format, args...)))
	}
}

func (v *rowChecks) requireUnique(kind, key string) {
	if v.seen[kind+" "+key] || key == "" {
		v.addError("%s %q is empty or comes twice", kind, key)
	}
	v.seen[kind+" "+key] = true
}

func (v *rowChecks) requireRepo(kind, name string) {
	if !v.repos[name] {
		v.addError("%s of unknown repository %q", kind, name)
	}
}

func (v *rowChecks) checkReview(r Review) {
	if key := fmt.Sprintf("%s#%d", r.Repo, r.Pull); !v.pulls[key] {
		v.addError("review of unknown pull request %s", key)
	}
	if (r.SubmittedAt == nil) != (r.State == "PENDING") {
		v.addError("review %d is %s, submitted at %v", r.ID, r.State, r.SubmittedAt)
	}
	v.requireUnique("review", fmt.Sprintf("%s/%d", r.Repo, r.ID))
}

func (v *rowChecks) checkCounts(d *Dataset) {
	for _, c := range []struct {
		name      string
		want, got int
	}{
		{"repos", d.Org.Repos, len(d.Repos)},
		{"commits", d.Org.Commits, len(d.Commits)},
		{"pulls", d.Org.Pulls, len(d.Pulls)},
		{"reviews", d.Org.Reviews, len(d.Reviews)},
		{"issue_comments", d.Org.IssueComments, len(d.Comments)},
	} {
		if c.want != 0 && c.want != c.got {
			v.addError("org.json counts %d %s, there are %d", c.want, c.name, c.got)
		}
	}
}
