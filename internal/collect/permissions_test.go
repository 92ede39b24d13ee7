// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package collect

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/github"
	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest"
	"github.com/seed-358c4d9d/githubexporter/internal/github/transport"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
)

// TestMissingPermissions: a permission is missing from the first refusal until the stream that needs it was read, with
// both APIs.
func TestMissingPermissions(t *testing.T) {
	t.Parallel()
	for _, api := range []github.API{github.APIGraphQL, github.APIREST} {
		for _, permission := range []string{"contents", "pull_requests", "issues"} {
			t.Run(string(api)+" "+permission, func(t *testing.T) {
				t.Parallel()
				b := newBench(t, api, fullOrg(t))
				b.pass()
				require.Empty(t, b.collector.MissingPermissions())
				limited := githubtest.Credential{
					Name: "default", Token: githubtest.DefaultToken, Forbidden: []string{permission},
				}
				b.server.AddCredential(limited)
				b.server.Update(func(d *githubtest.Dataset) { addToEveryStream(d, b.clock.Advance(time.Minute)) })
				b.clock.Advance(time.Minute)
				for range 3 {
					result := b.pass()
					require.Equal(t, PassPartial, result.Status)
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

// fullOrg returns an organization with an event in every stream.
func fullOrg(t *testing.T) *githubtest.Dataset {
	t.Helper()
	data := newDataset("one", "two")
	addToEveryStream(data, noon.Add(-time.Hour))
	return data
}

// addToEveryStream adds an event to every stream of every repository.
func addToEveryStream(d *githubtest.Dataset, at time.Time) {
	for i, r := range d.Repos {
		addCommit(d, r.Name, at)
		number := 2*(len(d.Pulls)+1) + i
		addPull(d, r.Name, number, at, nil)
		addComment(d, r.Name, number, at)
	}
}

// TestMissingPermissionForTheListing: a permission that the listing of the repositories needs is missing while the
// listing is refused.
func TestMissingPermissionForTheListing(t *testing.T) {
	t.Parallel()
	b := newBench(t, github.APIREST, fullOrg(t))
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

// TestMissingPermissionEndsWithTheGap: a permission is not missing any more when another replica has read the gap, when
// the stream is disabled, and when the repository is gone.
func TestMissingPermissionEndsWithTheGap(t *testing.T) {
	t.Parallel()
	var p permissions
	refused := &transport.ForbiddenError{
		Response: transport.Response{Status: 403}, Permissions: [][]string{{"contents"}},
	}
	p.record(1, activity.StreamCommits, refused)
	p.record(2, activity.StreamCommits, refused)
	p.record(1, activity.StreamPulls, &transport.UnavailableError{})
	p.record(1, activity.StreamComments, &transport.NotFoundError{})
	require.Equal(t, []string{"contents"}, p.missing())
	p.record(1, activity.StreamCommits, &transport.UnavailableError{})
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

// TestDocumentedPermissions: the table of docs/github-app.md has the permission of each stream, and no other one but
// that of the listing.
func TestDocumentedPermissions(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "github-app.md"))
	require.NoError(t, err)
	documented := map[string]string{}
	rows := regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\| Repository → [^|]+ \\| ([^|]+) \\|")
	for _, row := range rows.FindAllStringSubmatch(string(text), -1) {
		documented[row[1]] = row[2]
	}
	wanted := map[string]string{"metadata": "the list of repositories"}
	for _, s := range activity.AllStreams() {
		name := permissionOf(s)
		wanted[name] = strings.TrimPrefix(wanted[name]+", `"+s.String()+"`", ", ")
	}
	require.Equal(t, wanted, documented)
}
