// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/backfill"
)

var noon = time.Date(2026, 3, 11, 12, 0, 0, 0, time.UTC)

func TestNewJob(t *testing.T) {
	job, err := newJob([]string{
		"--org", "acme", "--repo", "widgets", "--from", "2026-03-01T00:00:00Z", "--streams",
		"commits,comments",
	}, noon)
	require.NoError(t, err)
	require.Contains(t, job.ID, "operator-")
	job.ID = ""
	require.Equal(t, backfill.Job{
		Org: "acme", Repo: "widgets", Streams: activity.StreamsOf(activity.StreamCommits, activity.StreamComments),
		Window:  activity.Window{Start: noon.AddDate(0, 0, -10).Add(-12 * time.Hour), End: noon},
		Reason:  backfill.ReasonOperator,
		Attempt: 1, CreatedAt: noon,
	}, job)
}

// TestRepositoryWithItsOwner: OWNER/NAME is accepted, in any case, when the owner is the organization or none is named.
func TestRepositoryWithItsOwner(t *testing.T) {
	for name, test := range map[string]struct{ org, repo, wantOrg, wantRepo string }{
		"both":             {"Acme", "acme/widgets", "Acme", "widgets"},
		"owner only":       {"", "acme/widgets", "acme", "widgets"},
		"no owner":         {"acme", "widgets", "acme", "widgets"},
		"another owner":    {"acme", "umbrella/widgets", "", ""},
		"no name":          {"acme", "acme/", "", ""},
		"more than a name": {"acme", "acme/widgets/issues", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			filter := messageFilter{}
			err := filter.parse("dead", []string{"--org", test.org, "--repo", test.repo})
			if test.wantRepo == "" {
				require.ErrorContains(t, err, "--repo")
				return
			}
			require.NoError(t, err)
			require.Equal(t, messageFilter{org: test.wantOrg, repo: test.wantRepo}, filter)
			job, err := newJob([]string{"--org", test.org, "--repo", test.repo, "--from", "2026-03-01T00:00:00Z"}, noon)
			require.NoError(t, err)
			require.Equal(t, []string{test.wantOrg, test.wantRepo}, []string{job.Org, job.Repo})
		})
	}
}

func TestWrongArgumentsAreRefused(t *testing.T) {
	for want, args := range map[string][]string{
		"--endpoint":       {"--endpoint", "", "dead"},
		"want one of dead": {"--endpoint", "amqp://localhost/", "show"},
		"not defined":      {"--endpoint", "amqp://localhost/", "--force", "dead"},
		"--from":           {"--endpoint", "amqp://localhost/", "read", "--org", "acme", "--repo", "x"},
		"--until": {
			"--endpoint", "amqp://localhost/", "read", "--from", "2026-03-01T00:00:00Z", "--until",
			"now",
		},
		"--streams": {
			"--endpoint", "amqp://localhost/", "read", "--from", "2026-03-01T00:00:00Z", "--streams",
			"stars",
		},
		"org:": {"--endpoint", "amqp://localhost/", "read", "--from", "2026-03-01T00:00:00Z"},
	} {
		_, err := run(t.Context(), args)
		require.ErrorContains(t, err, want)
		require.NotContains(t, err.Error(), "s3cret")
	}
	for _, endpoint := range []string{
		"amqp://user:s3cret@127.0.0.1:1/", "user:s3cret@127.0.0.1:1", "amqp://user:s3%cret@h/",
		"http://user:s3cret@127.0.0.1:1/",
		"amqp://127.0.0.1:1/?password=s3cret",
	} {
		_, err := run(t.Context(), []string{"--endpoint", endpoint, "dead"})
		require.Error(t, err, endpoint)
		require.NotContains(t, err.Error(), "s3cret")
	}
}
