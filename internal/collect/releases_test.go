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
	"github.com/seed-358c4d9d/githubexporter/internal/ledger/ledgerview"
)

// publish adds a release of "ada" to a repository.
func publish(d *githubtest.Dataset, repo string, id int64, at time.Time) *githubtest.Release {
	r := d.Repo(repo)
	r.Releases = append(r.Releases, githubtest.Release{
		ID: id, Tag: "v1", Login: "ada", CreatedAt: at, PublishedAt: at,
	})
	return &r.Releases[len(r.Releases)-1]
}

// releases returns the sum of the releases of a repository, and their number in the last 24 h.
func (b *bench) releases(repo string) (total, window uint64) {
	day, _ := ledgerview.WindowMetric(activity.KindReleasePublished, activity.SpanDay)
	for s, v := range b.metrics() {
		if s.Repo == repo {
			total += v.Of[ledgerview.MetricTotal+ledgerview.Metric(activity.KindReleasePublished.Index())]
			window += v.Of[day]
		}
	}
	return total, window
}

// TestReleasesOnceEach checks that each published release counts once at its publication, in the pass after it: also a
// prerelease, one whose tag is old, one of a bot, and after a change of leader; that one that was deleted keeps its sum
// and leaves the window with the reconciliation.
func TestReleasesOnceEach(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		data := newDataset("one", "two")
		data.Users = append(data.Users, githubtest.User{Login: "shipit[bot]", Type: "Bot"})
		publish(data, "one", 1, noon.Add(-30*time.Hour))
		publish(data, "one", 2, noon.Add(-3*time.Hour)).CreatedAt = noon.AddDate(0, 0, -100)
		publish(data, "one", 3, time.Time{}).CreatedAt = noon.Add(-5 * time.Hour) // a draft
		b := newBench(t, api, data, enableBackfill)
		b.pass()
		b.fillGaps()
		b.pass()
		requireReleases := func(total, window uint64) {
			t.Helper()
			gotTotal, gotWindow := b.releases("one")
			require.Equal(t, []uint64{total, window}, []uint64{gotTotal, gotWindow})
		}
		requireReleases(2, 1)

		b.clock.Advance(interval)
		at := b.clock.Now().Add(-time.Minute)
		b.server.Update(func(d *githubtest.Dataset) {
			d.Repo("one").Releases[2].PublishedAt = at
			publish(d, "one", 4, at).Prerelease = true
			publish(d, "one", 5, at).Login = "shipit[bot]"
		})
		require.Equal(t, PassSuccess, b.pass().Status)
		requireReleases(5, 4)
		b.changeLeader()
		b.clock.Advance(interval)
		require.Equal(t, PassSuccess, b.pass().Status)
		requireReleases(5, 4)
		b.requireNoGaps()

		b.server.Update(func(d *githubtest.Dataset) {
			d.Repo("one").Releases[3].DeletedAt = b.clock.Now()
			d.Repo("one").Releases[0].Tag = "edited"
		})
		b.clock.Advance(interval)
		b.pass()
		result, err := b.collector.Reconcile(t.Context(), 1)
		require.NoError(t, err)
		require.Zero(t, result.Found)
		requireReleases(5, 3)
	})
}

// TestReleasesOfManyRepositories checks, in an organization of several pages, that the pass after its publication finds
// a latest release, and one of two passes a prerelease, with the time of its publication.
func TestReleasesOfManyRepositories(t *testing.T) {
	t.Parallel()
	b := newBench(t, github.APIGraphQL, agedOrg(250))
	b.pass()
	b.clock.Advance(interval)
	b.pass()
	names := []string{"repo-0005", "repo-0110", "repo-0240"}
	for round := range 4 {
		b.clock.Advance(interval)
		at := b.clock.Now().Add(-time.Minute)
		b.server.Update(func(d *githubtest.Dataset) {
			for i, name := range names {
				publish(d, name, int64(100*round+i+1), at)
			}
		})
		b.pass()
		for _, name := range names {
			total, window := b.releases(name)
			require.Equal(t, []uint64{uint64(2*round) + 1, uint64(2*round) + 1}, []uint64{total, window}, name)
		}
		b.server.Update(func(d *githubtest.Dataset) {
			for i, name := range names {
				publish(d, name, int64(1000+100*round+i+1), b.clock.Now().Add(time.Second)).Prerelease = true
			}
		})
		for range 2 {
			b.clock.Advance(interval)
			require.Equal(t, PassSuccess, b.pass().Status)
		}
		for _, name := range names {
			total, _ := b.releases(name)
			require.Equal(t, uint64(2*round)+2, total, name)
		}
	}
	result, err := b.collector.Reconcile(t.Context(), 1)
	require.NoError(t, err)
	require.Zero(t, result.Found)
	b.clock.Advance(interval)
	b.server.ResetRequests()
	b.pass()
	b.clock.Advance(interval)
	b.server.ResetRequests()
	require.Zero(t, b.pass().Changed)
	require.Len(t, b.server.Requests(), 3)
}

// TestReleasesOfRecordedRepository checks that in a ledger of an earlier version, which lacks the stream, the look-back
// before its contact is read and no more.
func TestReleasesOfRecordedRepository(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		data := newDataset("one")
		addCommit(data, "one", noon.Add(-time.Hour))
		for day := range 40 {
			publish(data, "one", int64(day+1), noon.Add(-time.Hour).AddDate(0, 0, -day))
		}
		b := newBench(t, api, data, enableBackfill)
		id := b.repoIDOf("one")
		_, err := b.store.Commit(t.Context(), 0, ledger.Batch{Org: org, Observed: noon, Progress: ledger.Progress{
			Edge: noon.Add(-time.Hour),
			Repos: []ledger.RepoProgress{{
				ID: id, Name: "one", FirstSeen: noon.AddDate(0, 0, -20), Since: noon.AddDate(0, 0, -34),
				Streams: activity.EveryStream.Without(activity.StreamReleases),
			}},
		}})
		require.NoError(t, err)
		b.pass()
		b.fillGaps()
		b.clock.Advance(interval)
		b.pass()
		b.requireNoGaps()
		total, window := b.releases("one")
		require.Equal(t, []uint64{14, 1}, []uint64{total, window}, "14 days before the contact of the stream")
	})
}

// repoIDOf returns the id of a repository that was not read yet.
func (b *bench) repoIDOf(name string) (id int64) {
	find := func(page []activity.Repository) error {
		for i := range page {
			if page[i].Name == name {
				id = page[i].ID
			}
		}
		return nil
	}
	require.NoError(b.t, b.collector.settings.Source.Discover(b.t.Context(), org, find))
	return id
}
