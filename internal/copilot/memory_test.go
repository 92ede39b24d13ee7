//go:build integration && !race

// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package copilot

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/copilot/report"
	"github.com/seed-358c4d9d/githubexporter/internal/copilot/usage"
)

// largeReport is an API and a host with a users report of many rows, which are made while they are read.
type largeReport struct {
	rows, users int
	peak        uint64
	documents   int
}

func (l *largeReport) Get(context.Context, string, string) (Response, error) {
	return Response{http.StatusOK, []byte(`{"download_links":["https://files.example/1"],
		"report_start_day":"2026-10-28","report_end_day":"2026-11-24"}`)}, nil
}

func (l *largeReport) Read(_ context.Context, _ string, use func(io.Reader) error) error {
	reader, writer := io.Pipe()
	go func() {
		var err error
		first := time.Date(2026, 10, 28, 0, 0, 0, 0, time.UTC)
		for i := 0; i < l.rows && err == nil; i++ {
			day := first.AddDate(0, 0, i/l.users).Format(time.DateOnly)
			_, err = fmt.Fprintf(writer, largeRow, day, i%l.users, i%l.users)
			if i%10_000 == 0 {
				l.measure()
			}
		}
		writer.CloseWithError(err)
	}()
	return use(reader)
}

func (l *largeReport) measure() {
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	l.peak = max(l.peak, memory.HeapInuse)
}

func (l *largeReport) Load(context.Context, string) ([]byte, error) { return nil, nil }

func (l *largeReport) Save(_ context.Context, documents []Document) error {
	l.measure()
	l.documents = len(documents)
	return nil
}

// largeRow is a row of the usual fields for a day, and for a user twice.
const largeRow = `{"day":"%s","organization_id":"4711","enterprise_id":"12","user_id":1%06d,"user_login":"user-%06d",` +
	`"user_initiated_interaction_count":5,"code_generation_activity_count":31,"code_acceptance_activity_count":9,` +
	`"loc_suggested_to_add_sum":60,"loc_suggested_to_delete_sum":0,"loc_added_sum":140,"loc_deleted_sum":12,` +
	`"totals_by_ide":[{"ide":"vscode","user_initiated_interaction_count":5,"loc_added_sum":110}],` +
	`"totals_by_feature":[{"feature":"code_completion","loc_added_sum":18},{"feature":"agent_edit","loc_added_sum":92}],` +
	`"totals_by_language_feature":[],"totals_by_model_feature":[],"used_agent":true,"ai_credits_used":3.5}` + "\n"

// TestTwoMillionRows reads 2,000,000 rows of 71,429 users, and checks the memory above that of an idle process.
// The race detector makes it ten times slower.
func TestTwoMillionRows(t *testing.T) {
	const rows, limit = 2_000_000, 64 << 20
	large := &largeReport{rows: rows, users: (rows + 27) / 28}
	runtime.GC()
	large.measure()
	idle := large.peak
	var result Result
	source := New(Settings{
		Owner: "acme", API: large, Files: large, Store: large, OnResult: func(r Result) { result = r },
		Rules: Rules{Interval: time.Hour, Reports: []report.Type{{Content: report.ContentUsers}}},
		Now:   func() time.Time { return start },
	})
	began := time.Now()
	_, err := source.Run(t.Context())
	require.NoError(t, err)
	t.Logf("%d rows, %d MB in %s: %d MB above idle, %d documents", result.Stats.Rows, result.Stats.Bytes>>20,
		time.Since(began).Round(time.Second), (large.peak-idle)>>20, large.documents)
	require.Equal(t, OutcomeRead, result.Outcome)
	require.Equal(t, usage.Counts{Used: rows}, result.Counts)
	require.Less(t, large.peak-idle, uint64(limit))
}
