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
	"time"

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
//	progress            the Progress of all targets, as JSON
//	report/STEM         the header of a report, as JSON
//	report/STEM/NUMBER  its samples, from 0 on, as package usage encodes them
//
// STEM is Target.String without a day, and for a day its type with a number: so the names are few, whatever days there
// were, as a store may keep something of a removed document.
const progressName = "progress"

// stemNumbers is the number of stems that the days of backfill take in turn. A worker that is late would replace the
// report of another day with its stem: jobs expire long before a stem is used again.
const stemNumbers = 64

// Header describes a stored report.
type Header struct {
	// Scope and Window are the values of the labels.
	Scope  string      `json:"scope"`
	Window string      `json:"window,omitempty"`
	Span   report.Span `json:"span,omitzero"`
	// Parts is how many documents have the samples.
	Parts int `json:"parts"`
	// ReadAt is when the rows were read, Layout that of Progress.
	ReadAt time.Time `json:"read_at,omitzero"`
	Layout string    `json:"layout,omitempty"`
}

// isOf reports whether the report is one of a target: that of a day has the span of this day.
func (h *Header) isOf(t Target) bool {
	return t.Day == 0 || h.Span == report.Span{First: t.Day, Last: t.Day}
}

func headerName(stem string) string { return "report/" + stem }

func partName(stem string, part int) string { return fmt.Sprintf("report/%s/%d", stem, part) }

// ErrCorrupt is the error of documents that do not fit together.
var ErrCorrupt = errors.New("corrupt Copilot report")

// Report is a stored report.
type Report struct {
	Target Target
	Header

	stem string
	load func(name string) []byte
}

// ReadReports returns the reports that are stored, in the order of their targets' names. load returns a document, nil
// for one that does not exist. The error is ErrCorrupt.
func ReadReports(load func(name string) []byte) ([]Report, error) {
	table, err := decodeProgress(load(progressName))
	if err != nil {
		return nil, err
	}
	var reports []Report
	for _, target := range sortedTargets(table.targets) {
		r, err := readReport(target, table.stems[target], load)
		if err != nil {
			return nil, err
		}
		if r != nil {
			reports = append(reports, *r)
		}
	}
	return reports, nil
}

// readReport returns the report of a target that is stored under a stem, nil when none was read yet. The error is
// ErrCorrupt.
func readReport(target Target, stem string, load func(name string) []byte) (*Report, error) {
	raw := load(headerName(stem))
	if stem == "" || raw == nil {
		return nil, nil //nolint:nilnil // documented
	}
	r := &Report{Target: target, stem: stem, load: load}
	if err := json.Unmarshal(raw, &r.Header); err != nil || r.Parts < 0 {
		return nil, fmt.Errorf("%w: header of %s", ErrCorrupt, target)
	}
	if !r.isOf(target) {
		return nil, nil //nolint:nilnil // of a day that had the stem before
	}
	return r, nil
}

// EachSample calls use with each sample of the report. The error is ErrCorrupt; then some may have been used.
func (r *Report) EachSample(use func(usage.Sample)) error {
	for part := range r.Parts {
		if err := usage.Decode(r.load(partName(r.stem, part)), use); err != nil {
			return fmt.Errorf("%w: part %d of %s", ErrCorrupt, part, r.Target)
		}
	}
	return nil
}

// ReadProgress returns the progress of all targets; load is that of ReadReports. The error is ErrCorrupt.
func ReadProgress(load func(name string) []byte) (map[Target]Progress, error) {
	table, err := decodeProgress(load(progressName))
	return table.targets, err
}

// reportDocuments returns the documents of a report. Those of the report before that have no successor are removed.
func reportDocuments(
	stem string, header Header, samples iter.Seq[usage.Sample], partsBefore int,
) ([]Document, error) {
	var documents []Document
	for i, data := range usage.Encode(samples, MaxDocument) {
		documents = append(documents, Document{partName(stem, i), data})
	}
	header.Parts = len(documents)
	raw, err := json.Marshal(header)
	if err != nil {
		return nil, err
	}
	documents = append(documents, Document{headerName(stem), raw})
	for i := header.Parts; i < partsBefore; i++ {
		documents = append(documents, Document{Name: partName(stem, i)})
	}
	return documents, nil
}

// removal returns the documents that remove a report.
func removal(stem string, parts int) []Document {
	documents := []Document{{Name: headerName(stem)}}
	for i := range parts {
		documents = append(documents, Document{Name: partName(stem, i)})
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
	Stem     string         `json:"stem,omitempty"`
	Parts    int            `json:"parts,omitempty"`
	Progress Progress       `json:"progress"`
}

// progressTable is the progress of the targets, the stem of the names of each one's documents, and how many documents
// its samples have.
type progressTable struct {
	targets map[Target]Progress
	stems   map[Target]string
	parts   map[Target]int
}

func newProgressTable() progressTable {
	return progressTable{
		targets: make(map[Target]Progress), stems: make(map[Target]string), parts: make(map[Target]int),
	}
}

// stemOf returns the stem of a target, which it gets when it has none.
func (t *progressTable) stemOf(target Target) string {
	if stem := t.stems[target]; stem != "" {
		return stem
	}
	stem := target.String()
	if target.Day != 0 {
		used := make(map[string]bool, len(t.stems))
		for _, other := range t.stems {
			used[other] = true
		}
		number := 0
		if t.targets[target].Backfill {
			number = int(target.Day) % stemNumbers
		}
		for ; ; number++ {
			if stem = fmt.Sprintf("%s_%d", target.Type, number); !used[stem] {
				break
			}
		}
	}
	t.stems[target] = stem
	return stem
}

// remove forgets a target. It returns the documents that remove its report, none for a target without one.
func (t *progressTable) remove(target Target) []Document {
	var documents []Document
	if stem := t.stems[target]; stem != "" {
		documents = removal(stem, t.parts[target])
	}
	delete(t.targets, target)
	delete(t.stems, target)
	delete(t.parts, target)
	return documents
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
		if stored.Stem != "" {
			table.stems[target], table.parts[target] = stored.Stem, stored.Parts
		}
	}
	return table, nil
}

func (t *progressTable) encode() (Document, error) {
	list := []storedProgress{}
	for _, target := range sortedTargets(t.targets) {
		list = append(list, storedProgress{
			target.Type.Scope, target.Type.Content, target.Type.Window, target.Day, target.Seats,
			t.stems[target], t.parts[target], t.targets[target],
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
