// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package backfill_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/backfill"
)

func exampleJob() backfill.Job {
	return backfill.Job{
		ID:      "ABC",
		Org:     "acme",
		Repo:    "widgets.js",
		RepoID:  12,
		Streams: activity.StreamsOf(commits, comments),
		Window: activity.Window{
			Start: noon.Add(-time.Hour),
			End:   noon,
		},
		Reason:    backfill.ReasonPartial,
		Attempt:   2,
		CreatedAt: noon,
	}
}

func TestJobEncoding(t *testing.T) {
	j := exampleJob()
	body := j.Encode()
	require.JSONEq(
		t,
		`{"version":1,"id":"ABC","org":"acme","repo":"widgets.js","repo_id":12,"streams":["commits","comments"],
		"from":"2026-03-11T11:00:00Z","until":"2026-03-11T12:00:00Z","reason":"partial_scrape_error","attempt":2,
		"created_at":"2026-03-11T12:00:00Z"}`,
		string(body),
	)
	back, err := backfill.Decode(body)
	require.NoError(t, err)
	require.Equal(t, j, back)
}

// TestDecodeRejectsInvalidMessages: the error names the field and what it must be.
func TestDecodeRejectsInvalidMessages(t *testing.T) {
	j := exampleJob()
	good := string(j.Encode())
	for want, body := range map[string]string{
		"not the JSON":         "hello",
		"EOF":                  "",
		"version 0":            "null",
		"something follows":    good + good,
		"want at most":         strings.Repeat(" ", backfill.MaxMessageBytes) + good,
		"version 3":            strings.Replace(good, `"version":1`, `"version":3`, 1),
		"unknown field":        strings.Replace(good, `"version":1`, `"version":1,"force":true`, 1),
		"id:":                  strings.Replace(good, `"ABC"`, `""`, 1),
		"org:":                 strings.Replace(good, `"acme"`, `"a/b"`, 1),
		"repo:":                strings.Replace(good, `"widgets.js"`, `"../../x"`, 1),
		"repo_id:":             strings.Replace(good, `12`, `-12`, 1),
		"want each of":         strings.Replace(good, `"commits"`, `"stars"`, 1),
		"at most once":         strings.Replace(good, `"commits"`, `"comments"`, 1),
		"streams: none":        strings.Replace(good, `["commits","comments"]`, `[]`, 1),
		"reason:":              strings.Replace(good, `"partial_scrape_error"`, `"It is late"`, 1),
		"attempt:":             strings.Replace(good, `"attempt":2`, `"attempt":0`, 1),
		"years 2000":           strings.Replace(good, `"created_at":"2026`, `"created_at":"1926`, 1),
		"a window of -1h0m0s":  strings.Replace(good, `T12:00:00Z","reason"`, `T10:00:00Z","reason"`, 1),
		"a window of 219145h":  strings.Replace(good, `"from":"2026`, `"from":"2001`, 1),
		"cannot unmarshal":     strings.Replace(good, `"acme"`, `7`, 1),
		"parsing time":         strings.Replace(good, `2026-03-11T11:00:00Z`, `yesterday`, 1),
		"not the JSON of a jo": "[" + strings.Repeat("[", 10_000),
	} {
		_, err := backfill.Decode([]byte(body))
		require.ErrorIs(t, err, backfill.ErrInvalid, want)
		require.ErrorContains(t, err, want)
		require.Less(t, len(err.Error()), 500, want)
	}
}

func FuzzDecode(f *testing.F) {
	j := exampleJob()
	f.Add(j.Encode())
	report := reportJob()
	f.Add(report.Encode())
	f.Add([]byte("null"))
	f.Add([]byte(`{"version":1,"streams":null}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		j, err := backfill.Decode(body)
		if err != nil {
			require.ErrorIs(t, err, backfill.ErrInvalid)
			return
		}
		require.NoError(t, j.Validate())
		again, err := backfill.Decode(j.Encode())
		require.NoError(t, err)
		require.True(t, json.Valid(again.Encode()))
		require.True(t, j.Window.Start.Equal(again.Window.Start) && j.Window.End.Equal(again.Window.End))
		require.Equal(t, j.Streams, again.Streams)
		require.Equal(t, []string{j.Org, j.Source, j.Repo}, []string{again.Org, again.Source, again.Repo})
	})
}
