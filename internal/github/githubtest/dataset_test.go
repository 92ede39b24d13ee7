// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubtest_test

import (
	"os"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest"
)

func files(change map[string]string) fstest.MapFS {
	all := map[string]string{
		"org.json": `{"org":"acme","from":"2026-01-01T00:00:00Z","until":"2026-02-01T00:00:00Z"}`,
		"repos.jsonl": `{"name":"api","default_branch":"main","private":false,"archived":false,` +
			`"fork":false,"created_at":"2025-01-01T00:00:00Z"}` + "\n",
		"commits.jsonl": `{"repo":"api","sha":"c1","login":null,"authored_at":"2026-01-02T00:00:00Z",` +
			`"committed_at":"2026-01-02T00:00:00Z","additions":1,"deletions":2,"parents":1}` + "\n",
		"pulls.jsonl": `{"repo":"api","number":1,"login":"ann","state":"open",` +
			`"created_at":"2026-01-02T00:00:00Z","merged_at":null,"closed_at":null,"updated_at":"2026-01-02T00:00:00Z"}` + "\n",
		"reviews.jsonl": `{"repo":"api","pull":1,"id":1,"login":"bob","submitted_at":null,"state":"PENDING"}` +
			"\n",
		"issue_comments.jsonl": "\n",
		"teams.jsonl":          "",
	}
	fsys := fstest.MapFS{}
	for name, content := range all {
		if c, ok := change[name]; ok {
			content = c
		}
		fsys[name] = &fstest.MapFile{Data: []byte(content)}
	}
	return fsys
}

func TestLoadDataset(t *testing.T) {
	t.Parallel()
	d := openTelemetry(t)
	require.Len(t, d.Repos, 6)
	require.Len(t, d.Commits, d.Org.Commits)
	d, err := githubtest.LoadDataset(files(nil))
	require.NoError(t, err)
	require.Nil(t, d.Commits[0].Login)
}

func TestLoadDatasetErrors(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ file, content, want string }{
		"no JSON":       {"repos.jsonl", "\n{", "repos.jsonl:2:"},
		"unknown field": {"pulls.jsonl", "{}\n{\"x\":1}", `pulls.jsonl:2: json: unknown field "x"`},
		"two values":    {"repos.jsonl", "{} {}", "repos.jsonl:1: more than one JSON value"},
		"long line": {
			"repos.jsonl", strings.Repeat(" ", 2<<20), "repos.jsonl:1: bufio.Scanner: token too long",
		},
		"unknown repository": {"commits.jsonl", `{"repo":"web","sha":"c1"}`, `commit of unknown repository "web"`},
		"unknown pull": {
			"reviews.jsonl", `{"repo":"api","pull":2,"id":1,"state":"PENDING"}`, "unknown pull request api#2",
		},
		"pending": {
			"reviews.jsonl", `{"repo":"api","pull":1,"id":1,"state":"APPROVED"}`, "review 1 is APPROVED",
		},
		"twice": {
			"repos.jsonl", `{"name":"api"}` + "\n" + `{"name":"api"}`, `repository "api" is empty or comes twice`,
		},
		"count":           {"org.json", `{"org":"acme","repos":2}`, "org.json counts 2 repos, there are 1"},
		"no organization": {"org.json", `{}`, "no org"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := githubtest.LoadDataset(files(map[string]string{c.file: c.content}))
			require.ErrorContains(t, err, c.want)
		})
	}
	_, err := githubtest.LoadDataset(fstest.MapFS{})
	require.ErrorIs(t, err, os.ErrNotExist)
}

func FuzzLoadDataset(f *testing.F) {
	f.Add(
		`{"name":"api","created_at":"2025-01-01T00:00:00Z"}`, `{"repo":"api","sha":"c1","parent_shas":["c1"]}`,
		`{"repo":"api","number":1}`,
	)
	f.Add(`{"name":"api","resets":[{"sha":"c1"}]}`, `{"repo":"api","sha":"c1","branch":"x"}`, "")
	f.Fuzz(func(t *testing.T, repos, commits, pulls string) {
		d, err := githubtest.LoadDataset(
			files(
				map[string]string{
					"repos.jsonl": repos, "commits.jsonl": commits, "pulls.jsonl": pulls, "reviews.jsonl": "",
				},
			),
		)
		if err != nil {
			return
		}
		require.NoError(t, d.Clone().Validate())
		githubtest.NewServer(githubtest.Settings{Datasets: []*githubtest.Dataset{d}}).Close()
	})
}

func TestTimeline(t *testing.T) {
	t.Parallel()
	start := at("12:00:00")
	tl := githubtest.Timeline{Pivot: at("03:00:00"), Start: start, Speed: 60}
	require.Equal(t, start, tl.ToServed(at("03:00:00")))
	require.Equal(t, start.Add(-time.Hour), tl.ToServed(at("02:00:00")), "before the pivot: a shift")
	require.Equal(t, start.Add(time.Minute), tl.ToServed(at("04:00:00")), "after the pivot: compressed")
	require.Equal(t, start.Add(time.Second), tl.ToServed(at("03:01:59")), "whole seconds")
	require.Equal(t, at("04:00:00"), tl.ToData(start.Add(time.Minute)))
	require.Equal(t, at("04:00:00"), githubtest.Timeline{}.ToServed(at("04:00:00")), "the zero value changes nothing")
}

func TestTimelineKeepsOrder(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		tl := githubtest.Timeline{
			Pivot: at("12:00:00"), Start: at("00:00:00").AddDate(1, 0, 0),
			Speed: rapid.Float64Range(0.01, 1e4).Draw(t, "speed"),
		}
		seconds := rapid.Int64Range(-1e7, 1e7)
		a, b := seconds.Draw(t, "a"), seconds.Draw(t, "b")
		ta, tb := at("12:00:00").Add(time.Duration(a)*time.Second), at("12:00:00").Add(time.Duration(b)*time.Second)
		if a <= b {
			require.False(t, tl.ToServed(ta).After(tl.ToServed(tb)))
		}
	})
}
