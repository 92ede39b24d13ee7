// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package github_test

import (
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/github"
	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest"
)

// release adds a release of "ada" to the first repository. It was created and published at the same time.
func release(d *githubtest.Dataset, id int64, published time.Time) *githubtest.Release {
	r := &d.Repos[0]
	r.Releases = append(r.Releases, githubtest.Release{
		ID: id, Tag: "v" + strconv.FormatInt(id, 10), Login: "ada", CreatedAt: published, PublishedAt: published,
	})
	return &r.Releases[len(r.Releases)-1]
}

// releaseUsers returns the authors of releases by id.
func releaseUsers(events []activity.Event) map[activity.ID]string {
	found := make(map[activity.ID]string)
	for _, e := range events {
		if e.Kind == activity.KindReleasePublished {
			found[e.ID] = e.Actor.Login + " " + e.Time.Format(time.RFC3339)
		}
	}
	return found
}

// TestReleases checks, with both APIs, that a published release is an event of its author at its publication, also a
// prerelease, one of a bot or of a deleted account, and one whose tag is older than the window; that drafts and deleted
// releases are none.
func TestReleases(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		data := dataset("one")
		data.Users = append(data.Users, githubtest.User{Login: "shipit[bot]", Type: "Bot"})
		release(data, 1, ago(3*time.Hour))
		release(data, 2, ago(2*time.Hour)).Prerelease = true
		release(data, 3, ago(4*time.Hour)).Login = "shipit[bot]"
		release(data, 4, ago(5*time.Hour)).Login = ""
		release(data, 5, ago(6*time.Hour)).CreatedAt = ago(40 * 24 * time.Hour)
		release(data, 6, time.Time{}).CreatedAt = ago(time.Hour)
		release(data, 7, ago(7*time.Hour)).DeletedAt = ago(time.Hour)
		release(data, 8, ago(90*time.Hour))
		b := newBench(t, api, data)
		events, outcome := b.read(since(b.repo("one"), ago(24*time.Hour), activity.StreamReleases))
		require.Empty(t, outcome.Failed)
		at := func(t time.Time) string { return t.UTC().Format(time.RFC3339) }
		require.Equal(t, map[activity.ID]string{
			activity.NumberID(1): "ada " + at(ago(3*time.Hour)),
			activity.NumberID(2): "ada " + at(ago(2*time.Hour)),
			activity.NumberID(3): "shipit[bot] " + at(ago(4*time.Hour)),
			activity.NumberID(4): activity.LoginGhost + " " + at(ago(5*time.Hour)),
			activity.NumberID(5): "ada " + at(ago(6*time.Hour)),
		}, releaseUsers(events))
	})
}

// TestReleasePages checks that a release is found on any page when the whole list is read, and that another reading
// ends at releases that were created long before the window.
func TestReleasePages(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		data := dataset("one")
		for i := range 250 {
			release(data, int64(i+1), ago(time.Duration(i+1)*24*time.Hour))
		}
		release(data, 900, ago(time.Hour)).CreatedAt = ago(150*24*time.Hour + time.Hour)
		release(data, 901, ago(time.Hour)).CreatedAt = ago(249*24*time.Hour + time.Hour)
		b := newBench(t, api, data)
		request := since(b.repo("one"), ago(36*time.Hour), activity.StreamReleases)
		b.server.ResetRequests()
		found := releaseUsers(b.all(request))
		require.Contains(t, found, activity.NumberID(1))
		require.Contains(t, found, activity.NumberID(900))
		require.NotContains(t, found, activity.NumberID(901))
		require.Len(t, b.server.Requests(), map[github.API]int{github.APIGraphQL: 3, github.APIREST: 2}[api])
		request.WholeLists = true
		require.Contains(t, releaseUsers(b.all(request)), activity.NumberID(901))
	})
}

// TestUnchangedReleases checks that with REST a list that has not changed costs nothing.
func TestUnchangedReleases(t *testing.T) {
	t.Parallel()
	data := dataset("one")
	release(data, 1, ago(3*time.Hour))
	b := newBench(t, github.APIREST, data)
	request := since(b.repo("one"), ago(24*time.Hour), activity.StreamReleases)
	_, outcome := b.read(request)
	require.NotEmpty(t, outcome.Validators[activity.StreamReleases].ETag)
	request.Validators, request.Since[activity.StreamReleases] = outcome.Validators, ago(time.Hour)
	b.server.ResetRequests()
	events, outcome := b.read(request)
	require.Empty(t, events)
	require.Zero(t, b.server.PointsSpent("core"))
	require.Equal(t, request.Validators, outcome.Validators)
	b.server.Update(func(d *githubtest.Dataset) { release(d, 2, ago(time.Minute)) })
	require.Contains(t, releaseUsers(b.all(request)), activity.NumberID(2))
}

// TestReleaseAuthorsAreRequested checks that the author of a bot's release is one request for all of them, and that the
// stream fails without the response.
func TestReleaseAuthorsAreRequested(t *testing.T) {
	t.Parallel()
	const route = "/repos/{owner}/{repo}/releases"
	data := dataset("one")
	data.Users = append(data.Users, githubtest.User{Login: "shipit[bot]", Type: "Bot"})
	for id := range int64(5) {
		release(data, id+1, ago(time.Hour)).Login = "shipit[bot]"
	}
	release(data, 9, ago(400*time.Hour)).Login = "shipit[bot]"
	b := newBench(t, github.APIGraphQL, data)
	request := since(b.repo("one"), ago(24*time.Hour), activity.StreamReleases)
	require.Len(t, releaseUsers(b.all(request)), 5)
	require.Equal(t, 1, b.requests(route))
	request = since(b.repo("one"), ago(24*time.Minute), activity.StreamReleases)
	b.server.InjectFault(githubtest.Fault{Match: githubtest.Match{Route: route}, Effect: githubtest.Status(502)})
	_, outcome := b.read(request)
	require.Len(t, outcome.Failed, 1)
}

// TestReleaseSignals checks that a discovery shows each publication: that of the latest release each time, that of
// another one at every second discovery, and that a part of a list does not count as quiet.
func TestReleaseSignals(t *testing.T) {
	t.Parallel()
	data := many(250)
	release(data, 1, ago(100*time.Hour))
	b := newBench(t, github.APIGraphQL, data)
	name := data.Repos[0].Name
	recorded := b.repo(name).Signals
	require.True(t, recorded.QuietStreams(ago(90*time.Hour)).Has(activity.StreamReleases))
	require.False(t, recorded.QuietStreams(ago(110*time.Hour)).Has(activity.StreamReleases))
	isChanged := func() bool {
		now := b.repo(name).Signals
		now.KeepReleaseList(&recorded)
		return now.ChangedStreams(&recorded, noon, 0).Has(activity.StreamReleases)
	}
	for range 4 {
		require.False(t, isChanged())
	}
	b.server.Update(func(d *githubtest.Dataset) { release(d, 2, ago(time.Hour)).Prerelease = true })
	require.ElementsMatch(t, []bool{true, false}, []bool{isChanged(), isChanged()})
	b.server.Update(func(d *githubtest.Dataset) { release(d, 3, ago(time.Hour)) })
	require.Equal(t, []bool{true, true}, []bool{isChanged(), isChanged()})
	b.server.Update(func(d *githubtest.Dataset) {
		for id := range int64(20) {
			release(d, 100+id, ago(200*time.Hour))
		}
	})
	for range 2 {
		if now := b.repo(name).Signals; now.Releases.List != 0 {
			require.False(t, now.QuietStreams(ago(time.Minute)).Has(activity.StreamReleases), "there are more")
		}
	}
}
