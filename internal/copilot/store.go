// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package copilot

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/seed-358c4d9d/githubexporter/internal/copilot/report"
	"github.com/seed-358c4d9d/githubexporter/internal/copilot/usage"
)

// Store has the documents of one organization or enterprise.
type Store interface {
	// Load returns a document, nil for one that does not exist.
	Load(ctx context.Context, name string) ([]byte, error)
	// Save replaces documents, all of them or none. It refuses a replica that no longer leads.
	Save(ctx context.Context, documents []Document) error
}

// Document is a part of what is stored.
type Document struct {
	Name string
	// Data has at most MaxDocument bytes. It is nil for a document that is removed.
	Data []byte
}

// MaxDocument is the largest size of a document, in bytes.
const MaxDocument = 60 << 10

// The documents:
//
//	progress              the Progress of all targets, as JSON
//	report/TARGET         the header of a report, as JSON
//	report/TARGET/NUMBER  its samples, from 0 on, as package usage encodes them
//
// TARGET is Target.String.
const progressName = "progress"

// Header describes a stored report.
type Header struct {
	// Scope and Window are the values of the labels.
	Scope  string      `json:"scope"`
	Window string      `json:"window,omitempty"`
	Span   report.Span `json:"span,omitzero"`
	// Parts is how many documents have the samples.
	Parts int `json:"parts"`
}

func headerName(target string) string { return "report/" + target }

func partName(target string, part int) string { return fmt.Sprintf("report/%s/%d", target, part) }

// ErrCorrupt is the error of documents that do not fit together.
var ErrCorrupt = errors.New("corrupt Copilot report")

// ReadReport returns a stored report: that of a target, by Target.String. load returns a document, nil for
// one that does not exist. A report that does not exist has a nil header.
func ReadReport(target string, load func(name string) []byte) (*Header, []usage.Sample, error) {
	raw := load(headerName(target))
	if raw == nil {
		return nil, nil, nil
	}
	header := new(Header)
	if err := json.Unmarshal(raw, header); err != nil || header.Parts < 0 {
		return nil, nil, ErrCorrupt
	}
	var samples []usage.Sample
	for part := range header.Parts {
		decoded, err := usage.Decode(load(partName(target, part)))
		if err != nil {
			return nil, nil, fmt.Errorf("%w: part %d of %s", ErrCorrupt, part, target)
		}
		samples = append(samples, decoded...)
	}
	return header, samples, nil
}

// reportDocuments returns the documents of a report. Those of the report before that have no successor are removed.
func reportDocuments(
	target string, header Header, samples iter.Seq[usage.Sample], partsBefore int,
) ([]Document, error) {
	var documents []Document
	for i, data := range usage.Encode(samples, MaxDocument) {
		documents = append(documents, Document{partName(target, i), data})
	}
	header.Parts = len(documents)
	raw, err := json.Marshal(header)
	if err != nil {
		return nil, err
	}
	documents = append(documents, Document{headerName(target), raw})
	for i := header.Parts; i < partsBefore; i++ {
		documents = append(documents, Document{Name: partName(target, i)})
	}
	return documents, nil
}

// removal returns the documents that remove a report.
func removal(target string, parts int) []Document {
	documents := []Document{{Name: headerName(target)}}
	for i := range parts {
		documents = append(documents, Document{Name: partName(target, i)})
	}
	return documents
}

// storedProgress is an element of the document of the progress.
type storedProgress struct {
	Scope    report.Scope   `json:"scope,omitempty"`
	Content  report.Content `json:"content,omitempty"`
	Window   report.Window  `json:"window,omitempty"`
	Day      report.Day     `json:"day,omitzero"`
	Seats    bool           `json:"seats,omitempty"`
	Parts    int            `json:"parts,omitempty"`
	Progress Progress       `json:"progress"`
}

// progressTable is the progress of the targets, and how many documents the samples of each have.
type progressTable struct {
	targets map[Target]Progress
	parts   map[string]int
}

func newProgressTable() progressTable {
	return progressTable{targets: make(map[Target]Progress), parts: make(map[string]int)}
}

// decodeProgress returns the progress of a document; an empty table for nil.
func decodeProgress(raw []byte) (progressTable, error) {
	table := newProgressTable()
	if raw == nil {
		return table, nil
	}
	var list []storedProgress
	if err := json.Unmarshal(raw, &list); err != nil {
		return table, fmt.Errorf("%w: progress", ErrCorrupt)
	}
	for _, stored := range list {
		of := report.Type{Scope: stored.Scope, Content: stored.Content, Window: stored.Window}
		target := Target{of, stored.Day, stored.Seats}
		table.targets[target] = stored.Progress
		table.parts[target.String()] = stored.Parts
	}
	return table, nil
}

func (t *progressTable) encode() (Document, error) {
	list := []storedProgress{}
	for _, target := range sortedTargets(t.targets) {
		list = append(list, storedProgress{
			target.Type.Scope, target.Type.Content, target.Type.Window, target.Day, target.Seats,
			t.parts[target.String()], t.targets[target],
		})
	}
	raw, err := json.Marshal(list)
	return Document{progressName, raw}, err
}

func sortedTargets(targets map[Target]Progress) []Target {
	list := make([]Target, 0, len(targets))
	for target := range targets {
		list = append(list, target)
	}
	slices.SortFunc(list, func(a, b Target) int { return strings.Compare(a.String(), b.String()) })
	return list
}
