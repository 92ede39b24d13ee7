// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package collect

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/github"
	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
)

// TestMissingPermissions: a permission is missing from the first refusal on until what needs it was read, with both
// APIs.
func TestMissingPermissions(t *testing.T) {
	t.Parallel()
	for _, api := range []github.API{github.APIGraphQL, github.APIREST} {
		for _, permission := range []string{"contents", "pull_requests", "issues"} {
			t.Run(string(api)+" "+permission, func(t *testing.T) {
				t.Parallel()
				b := newBench(t, api, full(t))
				b.pass()
				require.Empty(t, b.collector.MissingPermissions())
				limited := githubtest.Credential{
					Name: "default", Token: githubtest.DefaultToken, Forbidden: []string{permission},
				}
				b.server.AddCredential(limited)
				b.server.Update(func(d *githubtest.Dataset) { everywhere(d, b.clock.Advance(time.Minute)) })
				b.clock.Advance(time.Minute)
				for range 3 {
					sum := b.pass()
					require.Equal(t, PassPartial, sum.Status)
					require.Equal(t, []string{permission}, b.collector.MissingPermissions())
					b.clock.Advance(time.Minute)
				}
				limited.Forbidden = nil
				b.server.AddCredential(limited)
				b.clock.Advance(maxRefusedDelay)
				require.Equal(t, PassSuccess, b.pass().Status)
				require.Empty(t, b.collector.MissingPermissions())
			})
		}
	}
}

// full is an organization with something in every stream.
func full(t *testing.T) *githubtest.Dataset {
	t.Helper()
	data := dataset("one", "two")
	everywhere(data, noon.Add(-time.Hour))
	return data
}

// everywhere adds something to every stream of every repository.
func everywhere(d *githubtest.Dataset, at time.Time) {
	for i, r := range d.Repos {
		commit(d, r.Name, at)
		number := 2*(len(d.Pulls)+1) + i
		pull(d, r.Name, number, at, nil)
		comment(d, r.Name, number, at)
	}
}

// TestMissingPermissionForTheListing is one that the list of repositories needs.
func TestMissingPermissionForTheListing(t *testing.T) {
	t.Parallel()
	b := newBench(t, github.APIREST, full(t))
	b.server.AddCredential(
		githubtest.Credential{Name: "default", Token: githubtest.DefaultToken, Forbidden: []string{"metadata"}},
	)
	_, err := b.collector.Pass(t.Context(), 1)
	require.Error(t, err)
	require.Equal(t, []string{"metadata"}, b.collector.MissingPermissions())
	b.server.AddCredential(githubtest.Credential{Name: "default", Token: githubtest.DefaultToken})
	b.pass()
	require.Empty(t, b.collector.MissingPermissions())
}

// TestMissingPermissionOfAnotherReader ends when others have read what was missing, when the stream is switched off,
// and with the repository.
func TestMissingPermissionOfAnotherReader(t *testing.T) {
	t.Parallel()
	var p permissions
	refused := &github.ForbiddenError{Response: github.Response{Status: 403}, Permissions: [][]string{{"contents"}}}
	p.record(1, activity.StreamCommits, refused)
	p.record(2, activity.StreamCommits, refused)
	p.record(1, activity.StreamPulls, &github.UnavailableError{})
	p.record(1, activity.StreamComments, &github.NotFoundError{})
	require.Equal(t, []string{"contents"}, p.missing())
	p.record(1, activity.StreamCommits, &github.UnavailableError{})
	require.Equal(t, []string{"contents"}, p.missing(), "whether it may be read now is not known")
	p.record(1, activity.StreamCommits, nil)
	require.Equal(t, []string{"contents"}, p.missing(), "of the other repository")
	missing := ledger.RepoCoverage{ID: 2}
	missing.Missing[activity.StreamCommits] = activity.Windows{{Start: noon, End: noon.Add(time.Hour)}}
	p.prune(&ledger.Coverage{Repos: map[int64]*ledger.RepoCoverage{2: &missing}})
	require.Equal(t, []string{"contents"}, p.missing())
	p.prune(&ledger.Coverage{Repos: map[int64]*ledger.RepoCoverage{2: {ID: 2}}})
	require.Empty(t, p.missing(), "nothing of it is missing any more")
	p.record(2, activity.StreamCommits, refused)
	missing.Signals.Disabled = activity.StreamsOf(activity.StreamCommits)
	p.prune(&ledger.Coverage{Repos: map[int64]*ledger.RepoCoverage{2: &missing}})
	require.Empty(t, p.missing(), "it is not wanted")
}
