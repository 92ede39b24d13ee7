// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package dataset

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

// Load reads a dataset from org.json, repos.jsonl, commits.jsonl, pulls.jsonl, reviews.jsonl, issue_comments.jsonl and,
// where they exist, issues.jsonl, users.jsonl and teams.jsonl. An unknown field is an error; errors name the file and
// the line.
func Load(fsys fs.FS) (*Dataset, error) {
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
		readOptional(readLines(fsys, "teams.jsonl", &d.Teams)),
	)
	if err != nil {
		return nil, err
	}
	return &d, d.Validate()
}

// readOptional drops the error of a file that does not exist.
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

// decodeStrict decodes exactly one JSON value, without unknown fields.
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
