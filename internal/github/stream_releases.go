// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package github

import (
	"context"
	"slices"
	"strconv"
	"time"

	gogithub "github.com/google/go-github/v66/github"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
)

// releaseSource reads published releases, prereleases included. Both APIs list them by the date of the tagged commit,
// or of the draft, and not by their publication.
var releaseSource = streamSource{
	stream:        activity.StreamReleases,
	readREST:      func(ctx context.Context, r *reader) error { return r.readReleasesREST(ctx) },
	isConditional: true,
	activity: &activitySource{
		selectFirst:  func(_ *ReadRequest, v *activityVariables) { v.Releases = true },
		selectMember: func(_ *ReadRequest, v *memberVariables) { v.Releases = true },
		read: func(ctx context.Context, r *reader, data *repositoryActivity, errs []graphqlError) error {
			return r.readReleasesGraphQL(ctx, data, errs)
		},
		isBounded: func(*ReadRequest) bool { return true }, // by the dates of creation
	},
	signal: func(n *repositoryNode, m latestUpdates, _ bool, s *activity.Signals) bool {
		found, ok := m.releases[n.ID]
		s.Releases = found
		return ok
	},
}

// The numbers of releases in a page of GraphQL: of the first one, and of the following ones.
const (
	releasesPageSize     = 20
	releasesNextPageSize = 100
)

const (
	// maxDraftAge is how long after the creation of a release its publication is expected: an incremental reading ends
	// at older ones. Other readings are of the whole list.
	maxDraftAge = 180 * 24 * time.Hour
	// releaseSignalDelay is more than how long before a reading a release may have been published that its signal did
	// not show at the former reading: discovery does not read the signal each time.
	releaseSignalDelay = 24 * time.Hour
)

// releaseNode is a release in a listing.
type releaseNode struct {
	DatabaseID  int64      `json:"databaseId"`
	CreatedAt   time.Time  `json:"createdAt"`
	PublishedAt *time.Time `json:"publishedAt"`
	IsDraft     bool       `json:"isDraft"`
	Author      *account   `json:"author"`

	invalid fieldErrors
}

// UnmarshalJSON implements json.Unmarshaler.
func (n *releaseNode) UnmarshalJSON(raw []byte) (err error) {
	type plain releaseNode
	n.invalid, err = decodeRow(raw, (*plain)(n))
	return err
}

// releaseList is a page of releases.
type releaseList struct {
	PageInfo pageInfo       `json:"pageInfo"`
	Nodes    []*releaseNode `json:"nodes"`
}

// releaseVariables select a page of releases.
type releaseVariables struct {
	Releases      bool    `json:"releases"`
	ReleasesFirst int     `json:"releasesFirst"`
	ReleasesAfter *string `json:"releasesAfter"`
}

// memberReleases select the first releases of a repository in a query for several.
type memberReleases struct {
	Releases bool `json:"releases"`
}

// releasesFrom returns the time from which published releases are emitted.
func (r *reader) releasesFrom() time.Time {
	start := r.request.Since[activity.StreamReleases]
	if gap := r.request.GapStart[activity.StreamReleases]; !gap.IsZero() && gap.Before(start) {
		start = gap
	}
	return start.Add(-releaseSignalDelay)
}

// endsReleases reports whether a page is the last one whose last release was created at a time.
func (r *reader) endsReleases(created time.Time) bool {
	return !r.request.WholeLists && !created.IsZero() && created.Before(r.releasesFrom().Add(-maxDraftAge))
}

// newReleaseEvent returns the event of a published release.
func (r *reader) newReleaseEvent(id int64, author activity.Actor, published time.Time) activity.Event {
	return r.newEvent(activity.KindReleasePublished, activity.NumberID(id), author, published)
}

// readReleasesGraphQL reads releases from their first page on, until they were created long before the window. What was
// published before it on these pages is emitted, too.
func (r *reader) readReleasesGraphQL(ctx context.Context, data *repositoryActivity, errs []graphqlError) error {
	v := r.newActivityVariables()
	v.Releases, v.ReleasesFirst = true, releasesNextPageSize
	for range maxPages {
		if err := checkReleasePage(data, errs); err != nil {
			return err
		}
		page := data.Releases
		if err := r.emitReleaseNodes(ctx, page.Nodes); err != nil {
			return err
		}
		cursor := page.PageInfo.EndCursor
		switch {
		case !page.PageInfo.HasNextPage || len(page.Nodes) == 0 || r.endsReleases(lastCreated(page.Nodes)):
			r.result.GapCoveredFrom[activity.StreamReleases] = r.request.GapStart[activity.StreamReleases]
			return nil
		case v.ReleasesAfter != nil && *v.ReleasesAfter == cursor:
			return errEndless(activityQuery.name)
		}
		v.ReleasesAfter = &cursor
		var err error
		if data, errs, err = r.requestActivity(ctx, &v); err != nil {
			return err
		}
	}
	return errEndless(activityQuery.name)
}

// lastCreated returns when the last release of a page was created; zero when that is unknown.
func lastCreated(nodes []*releaseNode) time.Time {
	if last := nodes[len(nodes)-1]; last.invalid["createdAt"] == nil {
		return last.CreatedAt
	}
	return time.Time{}
}

// checkReleasePage returns the error of a page that lacks a part.
func checkReleasePage(data *repositoryActivity, errs []graphqlError) error {
	if data.Releases == nil || data.Releases.Nodes == nil {
		return missingDataError(activityQuery, errs, "releases")
	}
	isIncomplete := func(n *releaseNode) bool {
		return n == nil || (n.DatabaseID == 0 && n.invalid["databaseId"] == nil)
	}
	if slices.ContainsFunc(data.Releases.Nodes, isIncomplete) {
		return missingDataError(activityQuery, errs, "release at its index of the page")
	}
	return fieldUnavailable(activityQuery, errs, "releases")
}

// emitReleaseNodes emits the events of a page. An author who is no user is null: those are requested.
func (r *reader) emitReleaseNodes(ctx context.Context, nodes []*releaseNode) error {
	from := r.releasesFrom()
	var events []activity.Event
	unknown := make(map[int64]time.Time)
	for _, n := range nodes {
		switch {
		case n.invalid != nil:
			r.client.reportInvalidRow(activityQuery.name, n.invalid)
		case n.IsDraft || n.PublishedAt == nil || n.PublishedAt.Before(from):
		case n.Author == nil:
			unknown[n.DatabaseID] = *n.PublishedAt
		default:
			events = append(events, r.newReleaseEvent(n.DatabaseID, n.Author.actor(), *n.PublishedAt))
		}
	}
	authors, err := r.requestReleaseAuthors(ctx, unknown)
	for id, author := range authors {
		events = append(events, r.newReleaseEvent(id, author, unknown[id]))
	}
	if err := r.emitValid(events); err != nil {
		return err
	}
	return err
}

// requestReleaseAuthors requests the authors of releases, by id, that GraphQL does not return. It has users alone as
// authors, and REST has Apps, too.
func (r *reader) requestReleaseAuthors(
	ctx context.Context, releases map[int64]time.Time,
) (map[int64]activity.Actor, error) {
	authors := make(map[int64]activity.Actor, len(releases))
	for number := 1; number <= maxPages && len(authors) < len(releases); number++ {
		rows, info, err := r.requestReleases(ctx, number, "")
		if err != nil {
			return authors, err
		}
		for i, row := range rows {
			if _, ok := releases[row.GetID()]; ok && info.invalid[i] == nil {
				authors[row.GetID()] = restActor(row.GetAuthor())
			}
		}
		if !info.next || len(rows) == 0 {
			break
		}
	}
	if len(authors) < len(releases) { // deleted meanwhile, or not there yet
		return authors, malformed(releasesEndpoint, "no release of an id that GraphQL has returned")
	}
	return authors, nil
}

// releaseRows is the format of a page of releases.
var releaseRows = listFormat(isCompleteRelease, "id", "author", "created_at", "published_at", "draft")

// isCompleteRelease reports whether a row has what every release has.
func isCompleteRelease(r *gogithub.RepositoryRelease, wrong fieldErrors) bool {
	return wrong.isPresent(r.ID != nil, "id") && wrong.isPresent(r.CreatedAt != nil, "created_at") &&
		wrong.isPresent(r.Draft != nil, "draft") && isCompleteUser(r.Author)
}

// requestReleases requests a page of releases (https://docs.github.com/rest/releases/releases#list-releases).
func (r *reader) requestReleases(
	ctx context.Context, number int, etag string,
) ([]*gogithub.RepositoryRelease, restPage, error) {
	return requestREST(ctx, r.client, restRequest{
		endpoint: releasesEndpoint, path: r.path("/releases"), etag: etag,
		query: queryValues("per_page", strconv.Itoa(perPage), "page", strconv.Itoa(number)),
	}, releaseRows)
}

// readReleasesREST reads releases page by page. The validator is that of a first page on which the reading has ended.
func (r *reader) readReleasesREST(ctx context.Context) error {
	const s = activity.StreamReleases
	gapStart := r.request.GapStart[s]
	var former Validator
	if gapStart.IsZero() && !r.request.WholeLists {
		former = r.usableValidator(s)
	}
	for number := 1; number <= maxPages; number++ {
		rows, info, err := r.requestReleases(ctx, number, former.ETag)
		switch {
		case err != nil:
			return err
		case info.unchanged:
			r.setValidator(s, former)
			return nil
		}
		former.ETag = ""
		if err := r.emitReleaseRows(rows, info.invalid); err != nil {
			return err
		}
		var last time.Time
		if len(rows) > 0 {
			last = rows[len(rows)-1].GetCreatedAt().Time
		}
		if !info.next || len(rows) == 0 || r.endsReleases(last) {
			if number == 1 {
				r.setValidator(s, Validator{ETag: info.etag})
			}
			r.result.GapCoveredFrom[s] = gapStart
			return nil
		}
	}
	return errEndless(releasesEndpoint)
}

// emitReleaseRows emits the events of a page.
func (r *reader) emitReleaseRows(rows []*gogithub.RepositoryRelease, invalid map[int]fieldErrors) error {
	from := r.releasesFrom()
	var events []activity.Event
	for i, row := range rows {
		switch {
		case invalid[i] != nil:
			r.client.reportInvalidRow(releasesEndpoint, invalid[i])
		case row.GetDraft() || row.PublishedAt == nil || row.PublishedAt.Before(from):
		default:
			author := restActor(row.GetAuthor())
			events = append(events, r.newReleaseEvent(row.GetID(), author, row.PublishedAt.Time))
		}
	}
	return r.emitValid(events)
}
