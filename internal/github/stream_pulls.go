// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package github

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"strconv"
	"time"

	gogithub "github.com/google/go-github/v66/github"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/flow"
)

// pullSource reads pull requests and their reviews, by update time.
var pullSource = streamSource{
	stream:        activity.StreamPulls,
	readREST:      func(ctx context.Context, r *reader) error { return r.readPullsREST(ctx) },
	isConditional: true,
	activity: &activitySource{
		selectFirst: func(req *ReadRequest, v *activityVariables) {
			v.Pulls, v.PullFlow = true, req.Streams.Has(activity.StreamPullFlow)
			if v.PullFlow {
				v.PullsFirst = flowPullsPageSize
			}
		},
		selectMember: func(_ *ReadRequest, v *memberVariables) { v.Pulls = true },
		read: func(ctx context.Context, r *reader, data *repositoryActivity, errs []graphqlError) error {
			return r.readPullsGraphQL(ctx, data, errs)
		},
		isBounded: func(*ReadRequest) bool { return false },
	},
	signal: func(n *repositoryNode, m latestUpdates, _ bool, s *activity.Signals) (ok bool) {
		s.Pulls, ok = m.pulls.get(n.ID, n.HasPulls)
		return ok
	},
}

// The numbers of pull requests in a page of GraphQL: of the first one beside commits, which is one point together, of
// the following ones, and of the smallest one. With its flow each pull request has one connection more.
const (
	pullsPageSize     = 25
	flowPullsPageSize = 13
	pullsNextPageSize = 50
	minPullsPageSize  = 5
)

// memberPulls select the first pull requests of a repository in a query for several.
type memberPulls struct {
	Pulls bool `json:"pulls"`
}

// pullNode is a pull request in a listing, with its first reviews.
type pullNode struct {
	ID        string            `json:"id"`
	Number    int64             `json:"number"`
	CreatedAt time.Time         `json:"createdAt"`
	MergedAt  *time.Time        `json:"mergedAt"`
	UpdatedAt time.Time         `json:"updatedAt"`
	Author    *account          `json:"author"`
	Reviews   *reviewConnection `json:"reviews"`
	pullFlowFields

	invalid fieldErrors
}

// UnmarshalJSON implements json.Unmarshaler.
func (n *pullNode) UnmarshalJSON(raw []byte) (err error) {
	type plain pullNode
	n.invalid, err = decodeRow(raw, (*plain)(n))
	return err
}

// reviewConnection is a page of the reviews of a pull request.
type reviewConnection struct {
	PageInfo pageInfo      `json:"pageInfo"`
	Nodes    []*reviewNode `json:"nodes"`
}

// reviewNode is a review. SubmittedAt is nil while it is pending.
type reviewNode struct {
	FullDatabaseID json.Number `json:"fullDatabaseId"`
	SubmittedAt    *time.Time  `json:"submittedAt"`
	State          string      `json:"state"`
	Author         *account    `json:"author"`

	invalid fieldErrors
}

// UnmarshalJSON implements json.Unmarshaler.
func (n *reviewNode) UnmarshalJSON(raw []byte) (err error) {
	type plain reviewNode
	n.invalid, err = decodeRow(raw, (*plain)(n))
	return err
}

// pullVariables select a page of pull requests.
type pullVariables struct {
	Pulls      bool    `json:"pulls"`
	PullsFirst int     `json:"pullsFirst"`
	PullsAfter *string `json:"pullsAfter"`
	flowVariables
}

// pullRow is a row of a listing of pull requests.
type pullRow struct {
	updatedAt time.Time
	// isComplete says that events needs no request.
	isComplete bool
	// events returns the events of the pull request and of its reviews, and requests what the row lacks.
	events func(ctx context.Context) ([]activity.Event, error)
}

// pullPage is a page of the listing by update time, the newest first.
type pullPage []pullRow

// fetchPulls requests the page at a cursor. It returns the next cursor, which is empty at the end.
type fetchPulls func(ctx context.Context, cursor string) (pullPage, string, error)

// maxRescans bounds how often the top of the listing is read again. Each time it is shorter.
const maxRescans = 10

// scanPulls reads pull requests by update time, from the newest to those that were updated before Since. fetch
// returns the page at a cursor and the next cursor, which is empty at the end.
//
// A row that is updated during the scan moves to the top, which was read already. So after a scan of several pages
// the top is read again, down to the newest row of the scan before, until that takes a single page.
func (r *reader) scanPulls(ctx context.Context, fetch fetchPulls) error {
	since := r.request.Since[activity.StreamPulls]
	r.result.PullScans = r.request.PullScans
	for n := range maxRescans {
		newest, pages, err := r.scanPages(ctx, since, n == 0, fetch)
		if err != nil || pages <= 1 {
			return err
		}
		since = newest
	}
	return nil // the top moves faster than it can be read: the next pass begins before it
}

// scanPages reads pages down to since. It returns the update time of the newest row and the number of pages.
func (r *reader) scanPages(
	ctx context.Context, since time.Time, first bool, fetch fetchPulls,
) (newest time.Time, pages int, err error) {
	cursor := ""
	for pages < maxPages {
		rows, next, err := fetch(ctx, cursor)
		if err != nil {
			return newest, pages, err
		}
		pages++
		if pages == 1 && len(rows) > 0 {
			newest = rows[0].updatedAt
			r.result.noteUpdate(activity.StreamPulls, newest)
		}
		if pages == 1 && first && r.coversGap(rows, next) {
			since = r.request.GapStart[activity.StreamPulls]
			r.result.GapCoveredFrom[activity.StreamPulls] = since
		}
		more, err := r.emitPullRows(ctx, rows, since, func(updated time.Time) {
			if first {
				r.recordScanned(updated, newest)
			}
		})
		if err != nil || !more || next == "" {
			return newest, pages, err
		}
		if next == cursor {
			break
		}
		cursor = next
	}
	return newest, pages, errEndless("pull requests")
}

// coversGap reports whether the first page has every row of the gap before Since completely. A row that needs a request
// of its own makes it false: backfill then reads the gap.
func (r *reader) coversGap(rows pullPage, next string) bool {
	since, gapStart := r.request.Since[activity.StreamPulls], r.request.GapStart[activity.StreamPulls]
	if gapStart.IsZero() || (next != "" && (len(rows) == 0 || !rows[len(rows)-1].updatedAt.Before(gapStart))) {
		return false
	}
	return !slices.ContainsFunc(rows, func(row pullRow) bool {
		return !row.isComplete && row.updatedAt.Before(since) && !row.updatedAt.Before(gapStart)
	})
}

// recordScanned extends the scan from the newest row down to a row that was emitted, now or before.
func (r *reader) recordScanned(updated, newest time.Time) {
	if settled := r.client.transport.GitHubNow().Add(-settleAfter); newest.After(settled) {
		newest = settled
	}
	if r.pullFlowErr == nil {
		r.result.PullScans = r.request.PullScans.add(PullScan{Start: updated, End: newest})
	}
}

// emitPullRows emits the rows that were updated at since or later, and reports whether all of them were. It emits
// what precedes an error, too.
func (r *reader) emitPullRows(
	ctx context.Context, rows pullPage, since time.Time, onRow func(updated time.Time),
) (bool, error) {
	var events []activity.Event
	more := true // a page may have no row that can be decoded
	for _, row := range rows {
		if row.updatedAt.Before(since) {
			more = false
			break
		}
		if r.request.PullScans.contains(row.updatedAt) {
			onRow(row.updatedAt)
			continue
		}
		found, err := row.events(ctx)
		if err != nil {
			if emitErr := r.emitValid(events); emitErr != nil {
				err = emitErr
			}
			return false, err
		}
		events = append(events, found...)
		if r.pullFlowErr != nil && !r.asked.Has(activity.StreamPulls) {
			return false, cmp.Or(r.emitValid(events), r.pullFlowErr)
		}
		onRow(row.updatedAt)
	}
	return more, r.emitValid(events)
}

// newPullEvents returns the events of a pull request itself. Both count for its author.
func (r *reader) newPullEvents(
	number int64, author activity.Actor, created time.Time, merged *time.Time,
) []activity.Event {
	id := activity.NumberID(number)
	events := []activity.Event{r.newEvent(activity.KindPullRequestOpened, id, author, created)}
	if merged != nil {
		events = append(events, r.newEvent(activity.KindPullRequestMerged, id, author, *merged))
	}
	return events
}

// readPullsGraphQL reads pull requests from their first page on.
func (r *reader) readPullsGraphQL(ctx context.Context, data *repositoryActivity, errs []graphqlError) error {
	first := data
	return r.scanPulls(ctx, func(ctx context.Context, cursor string) (pullPage, string, error) {
		data, dataErrs := first, errs
		first = nil
		var err error
		if data == nil {
			data, dataErrs, err = r.requestPullPage(ctx, cursor)
		}
		if err == nil && r.wantsPullFlow() {
			if missing := missesPullFlow(dataErrs); missing != nil {
				r.failPullFlow(missing)
				data, dataErrs, err = r.requestPullPage(ctx, cursor)
			}
		}
		if err != nil {
			return nil, "", err
		}
		return r.graphqlPullPage(data, dataErrs)
	})
}

// requestPullPage requests the page of pull requests at a cursor, and the page without their flow where that fails with
// it.
func (r *reader) requestPullPage(ctx context.Context, cursor string) (*repositoryActivity, []graphqlError, error) {
	v := r.newActivityVariables()
	v.Pulls, v.PullsFirst, v.PullFlow = true, pullsNextPageSize, r.wantsPullFlow()
	if cursor != "" {
		v.PullsAfter = &cursor
	}
	data, errs, err := r.requestActivity(ctx, &v)
	if v.PullFlow && canSplit(err) {
		r.failPullFlow(err)
		v.PullFlow = false
		return r.requestActivity(ctx, &v)
	}
	return data, errs, err
}

// errPullsOff is the error of a repository that has pull requests switched off. That may have happened after its
// discovery: an empty list would be wrong then.
func errPullsOff() error {
	return notInActivity("pull requests are switched off")
}

// graphqlPullPage converts a page, and returns the next cursor. The error is that of a page that lacks a part.
func (r *reader) graphqlPullPage(data *repositoryActivity, errs []graphqlError) (pullPage, string, error) {
	if string(data.HasPulls) == "false" {
		return nil, "", errPullsOff()
	}
	if data.Pulls == nil || data.Pulls.Nodes == nil {
		return nil, "", missingDataError(activityQuery, errs, "pull requests")
	}
	if err := fieldUnavailable(activityQuery, errs, "pullRequests"); err != nil {
		return nil, "", err
	}
	rows := make(pullPage, 0, len(data.Pulls.Nodes))
	for _, n := range data.Pulls.Nodes {
		if n == nil || (n.Reviews == nil && n.invalid["reviews"] == nil) {
			return nil, "", missingDataError(activityQuery, errs, "pull request at its index of the page")
		}
		if n.invalid != nil {
			r.client.reportInvalidRow(activityQuery.name, n.invalid)
			if n.invalid["updatedAt"] != nil {
				continue // it has no place in the order
			}
		}
		rows = append(rows, pullRow{
			updatedAt: n.UpdatedAt, isComplete: !n.hasMore(),
			events: func(ctx context.Context) ([]activity.Event, error) { return r.graphqlPullEvents(ctx, n) },
		})
	}
	if info := data.Pulls.PageInfo; info.HasNextPage {
		return rows, info.EndCursor, nil
	}
	return rows, "", nil
}

// hasMore reports whether the row lacks reviews, or changes that flow needs.
func (n *pullNode) hasMore() bool {
	return n.Reviews != nil && n.Reviews.PageInfo.HasNextPage || n.Changes != nil && n.Changes.PageInfo.HasNextPage
}

// graphqlPullEvents returns the events of a pull request, of its reviews and of its flow, and requests what its row
// lacks.
func (r *reader) graphqlPullEvents(ctx context.Context, n *pullNode) ([]activity.Event, error) {
	var events []activity.Event
	if n.invalid == nil || n.invalid.hasOnly(append([]string{"reviews"}, pullFlowFieldNames...)...) {
		events = r.newPullEvents(n.Number, n.Author.actor(), n.CreatedAt, n.MergedAt)
	}
	if n.Reviews == nil {
		return events, nil
	}
	reviews, err := r.graphqlReviews(ctx, n)
	if err != nil {
		return nil, err
	}
	events = append(events, r.reviewEvents(reviews)...)
	return r.withPullFlow(events, func() (*flow.PullRequest, error) { return r.graphqlPullFlow(ctx, n, reviews) })
}

// graphqlReviews returns the reviews of a pull request, and requests those that its row lacks.
func (r *reader) graphqlReviews(ctx context.Context, n *pullNode) ([]flow.Review, error) {
	var reviews []flow.Review
	page := n.Reviews
	for range maxPages {
		reviews = append(reviews, r.convertReviews(page.Nodes)...)
		if !page.PageInfo.HasNextPage {
			return reviews, nil
		}
		var err error
		if page, err = r.requestReviews(ctx, n.ID, page.PageInfo.EndCursor); err != nil {
			return nil, err
		}
	}
	return nil, errEndless(reviewsQuery.name)
}

// reviewsVariables are the variables of the Reviews query.
type reviewsVariables struct {
	ID    string `json:"id"`
	After string `json:"after"`
}

func (reviewsVariables) document() document { return reviewsQuery }

// requestReviews requests the page of a pull request's reviews after a cursor.
func (r *reader) requestReviews(ctx context.Context, id, after string) (*reviewConnection, error) {
	type reviewsData struct {
		Node *struct {
			Reviews *reviewConnection `json:"reviews"`
		} `json:"node"`
	}
	data, errs, err := runQuery[reviewsData](ctx, r.client, queryOptions{}, reviewsVariables{ID: id, After: after})
	if err != nil {
		return nil, err
	}
	if data.Node == nil || data.Node.Reviews == nil {
		return nil, missingDataError(reviewsQuery, errs, "reviews")
	}
	if err := fieldUnavailable(reviewsQuery, errs, "reviews"); err != nil {
		return nil, err
	}
	if next := data.Node.Reviews.PageInfo; next.HasNextPage && next.EndCursor == after {
		return nil, errEndless(reviewsQuery.name)
	}
	return data.Node.Reviews, nil
}

// convertReviews converts reviews. It drops pending ones, and those that cannot be decoded.
func (r *reader) convertReviews(nodes []*reviewNode) []flow.Review {
	reviews := make([]flow.Review, 0, len(nodes))
	for _, n := range nodes {
		if n == nil || (n.SubmittedAt == nil && n.invalid == nil) {
			continue // pending: not submitted yet
		}
		if n.invalid != nil {
			r.client.reportInvalidRow(reviewsQuery.name, n.invalid)
		}
		if n.SubmittedAt == nil || n.invalid != nil && !n.invalid.hasOnly("state") {
			continue
		}
		id, err := strconv.ParseInt(n.FullDatabaseID.String(), 10, 64)
		if err != nil {
			r.client.transport.ReportInvalidValue(err)
			continue
		}
		reviews = append(reviews, flow.Review{
			ID: id, Author: n.Author.actor(), At: *n.SubmittedAt, Approves: n.State == approvedState,
		})
	}
	return reviews
}

const (
	pullsEndpoint   = "/repos/{owner}/{repo}/pulls"
	reviewsEndpoint = "/repos/{owner}/{repo}/pulls/{pull_number}/reviews"
)

// pullRows is the format of a page of pull requests, reviewRows that of a page of reviews.
var (
	pullRows   = listFormat(isCompletePull, "number", "user", "created_at", "updated_at", "merged_at")
	reviewRows = listFormat(isCompleteReview, "id", "user", "submitted_at")
)

// isCompletePull reports whether a row has what every pull request has.
func isCompletePull(r *gogithub.PullRequest, wrong fieldErrors) bool {
	return wrong.isPresent(r.Number != nil, "number") && wrong.isPresent(r.CreatedAt != nil, "created_at") &&
		wrong.isPresent(r.UpdatedAt != nil, "updated_at") && isCompleteUser(r.User)
}

// isCompleteReview reports whether a row has what every review has.
func isCompleteReview(r *gogithub.PullRequestReview, wrong fieldErrors) bool {
	return wrong.isPresent(r.ID != nil, "id") && isCompleteUser(r.User)
}

// readPullsREST reads the listing by update time, which must be requested in descending order
// (https://docs.github.com/rest/pulls/pulls#list-pull-requests).
func (r *reader) readPullsREST(ctx context.Context) error {
	former, first := r.usableValidator(activity.StreamPulls), Validator{}
	err := r.scanPulls(ctx, func(ctx context.Context, cursor string) (pullPage, string, error) {
		number, _ := strconv.Atoi(cursor) // empty is the first page
		number = max(1, number)
		rows, info, err := requestREST(ctx, r.client, restRequest{
			endpoint: pullsEndpoint, path: r.path("/pulls"), etag: former.ETag,
			query: queryValues("state", "all", "sort", "updated", "direction", "desc",
				"per_page", strconv.Itoa(perPage), "page", strconv.Itoa(number)),
		}, pullRows)
		if err != nil {
			return nil, "", err
		}
		if info.unchanged {
			first = former
		} else if number == 1 { // an update moves a row to its top
			first = Validator{}
			if r.isSettled(rows) {
				first.ETag = info.etag
			}
		}
		former.ETag = ""
		if !info.next {
			return r.restPullPage(rows, info.invalid), "", nil
		}
		return r.restPullPage(rows, info.invalid), strconv.Itoa(number + 1), nil
	})
	if err == nil {
		r.setValidator(activity.StreamPulls, first)
	}
	return err
}

// settleAfter is the age at which the newest change of a listing is final: times are in whole seconds, and GitHub's
// replicas may lag. Validators and scans end before it.
const settleAfter = 30 * time.Second

// isSettled reports whether the newest change of a first page is final.
func (r *reader) isSettled(rows []*gogithub.PullRequest) bool {
	return len(rows) == 0 || rows[0].GetUpdatedAt().Before(r.client.transport.GitHubNow().Add(-settleAfter))
}

// restPullPage converts a page. It drops rows that cannot be ordered.
func (r *reader) restPullPage(rows []*gogithub.PullRequest, invalid map[int]fieldErrors) pullPage {
	list := make(pullPage, 0, len(rows))
	for i, row := range rows {
		if invalid[i] != nil {
			r.client.reportInvalidRow(pullsEndpoint, invalid[i])
			if row.Number == nil || row.UpdatedAt == nil {
				continue // it cannot be ordered, or has no reviews to request
			}
			row.CreatedAt, row.MergedAt = nil, nil // its reviews are read, and it is left out
		}
		list = append(list, pullRow{
			updatedAt: row.GetUpdatedAt().Time,
			events: func(ctx context.Context) ([]activity.Event, error) {
				return r.restPullEvents(ctx, row)
			},
		})
	}
	return list
}

// restPullEvents returns the events of a pull request, and requests its reviews and what its flow needs for theirs.
func (r *reader) restPullEvents(ctx context.Context, row *gogithub.PullRequest) ([]activity.Event, error) {
	var merged *time.Time
	if row.MergedAt != nil {
		merged = &row.MergedAt.Time
	}
	var events []activity.Event
	if row.CreatedAt != nil {
		events = r.newPullEvents(int64(row.GetNumber()), restActor(row.GetUser()), row.GetCreatedAt().Time, merged)
	}
	reviews, err := r.requestRESTReviews(ctx, row.GetNumber())
	if err != nil {
		return nil, err
	}
	events = append(events, r.reviewEvents(reviews)...)
	return r.withPullFlow(events, func() (*flow.PullRequest, error) { return r.restPullFlow(ctx, row, reviews) })
}

// requestRESTReviews requests the reviews of a pull request
// (https://docs.github.com/rest/pulls/reviews#list-reviews-for-a-pull-request).
func (r *reader) requestRESTReviews(ctx context.Context, pull int) ([]flow.Review, error) {
	var reviews []flow.Review
	for number := 1; number <= maxPages; number++ {
		rows, info, err := requestREST(ctx, r.client, restRequest{
			endpoint: reviewsEndpoint, path: r.path("/pulls/" + strconv.Itoa(pull) + "/reviews"),
			query: queryValues("per_page", strconv.Itoa(perPage), "page", strconv.Itoa(number)),
		}, reviewRows)
		if err != nil {
			return nil, err
		}
		reviews = append(reviews, r.restReviews(rows, info.invalid)...)
		if !info.next || len(rows) == 0 {
			return reviews, nil
		}
	}
	return nil, errEndless(reviewsEndpoint)
}
