package github

import (
	"context"
	"strconv"
	"time"

	gogithub "github.com/google/go-github/v66/github"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
)

const (
	pullsEndpoint   = "/repos/{owner}/{repo}/pulls"
	reviewsEndpoint = "/repos/{owner}/{repo}/pulls/{pull_number}/reviews"
)

// pullRows is the format of a page of pull requests, reviewRows that of a page of reviews.
var (
	pullRows   = listOf(isCompletePull, "number", "user", "created_at", "updated_at", "merged_at")
	reviewRows = listOf(isCompleteReview, "id", "user", "submitted_at")
)

func isCompletePull(r *gogithub.PullRequest, wrong fieldErrors) bool {
	return wrong.present(r.Number != nil, "number") && wrong.present(r.CreatedAt != nil, "created_at") &&
		wrong.present(r.UpdatedAt != nil, "updated_at") && isCompleteUser(r.User)
}

func isCompleteReview(r *gogithub.PullRequestReview, wrong fieldErrors) bool {
	return wrong.present(r.ID != nil, "id") && isCompleteUser(r.User)
}

// readPullsREST reads the listing by update time, which has to be asked for in descending order
// (https://docs.github.com/rest/pulls/pulls#list-pull-requests).
func (r *reader) readPullsREST(ctx context.Context) error {
	had, first := r.validator(activity.StreamPulls), Validator{}
	err := r.scanPulls(ctx, func(ctx context.Context, cursor string) (pullPage, string, error) {
		number, _ := strconv.Atoi(cursor) // empty is the first page
		number = max(1, number)
		rows, told, err := get(ctx, r.client, restRequest{
			endpoint: pullsEndpoint, path: r.path("/pulls"), etag: had.ETag,
			query: values("state", "all", "sort", "updated", "direction", "desc",
				"per_page", strconv.Itoa(perPage), "page", strconv.Itoa(number)),
		}, pullRows)
		if err != nil {
			return nil, "", err
		}
		if told.unchanged {
			first = had
		} else if number == 1 { // whatever is touched comes to its top
			first = Validator{}
			if r.isSettled(rows) {
				first.ETag = told.etag
			}
		}
		had.ETag = ""
		if !told.next {
			return r.restPullPage(rows, told.invalid), "", nil
		}
		return r.restPullPage(rows, told.invalid), strconv.Itoa(number + 1), nil
	})
	if err == nil {
		r.keep(activity.StreamPulls, first)
	}
	return err
}

// settleAfter is how old the newest change of a listing must be for its validator to stand for all that belongs to it: times are in
// whole seconds, and not all of GitHub's replicas have a review at once.
const settleAfter = 30 * time.Second

func (r *reader) isSettled(rows []*gogithub.PullRequest) bool {
	return len(rows) == 0 || rows[0].GetUpdatedAt().Before(r.client.githubNow().Add(-settleAfter))
}

func (r *reader) restPullPage(rows []*gogithub.PullRequest, broken map[int]fieldErrors) pullPage {
	list := make(pullPage, 0, len(rows))
	for i, row := range rows {
		if broken[i] != nil {
			r.client.reportInvalidRow(pullsEndpoint, broken[i])
			if row.Number == nil || row.UpdatedAt == nil {
				continue // it has no place in the order, or no reviews that can be asked for
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

func (r *reader) restPullEvents(ctx context.Context, row *gogithub.PullRequest) ([]activity.Event, error) {
	var merged *time.Time
	if row.MergedAt != nil {
		merged = &row.MergedAt.Time
	}
	var events []activity.Event
	if row.CreatedAt != nil {
		events = r.newPullEvents(int64(row.GetNumber()), restActor(row.GetUser()), row.GetCreatedAt().Time, merged)
	}
	for number := 1; number <= maxPages; number++ {
		reviews, told, err := get(ctx, r.client, restRequest{
			endpoint: reviewsEndpoint, path: r.path("/pulls/" + strconv.Itoa(row.GetNumber()) + "/reviews"),
			query: values("per_page", strconv.Itoa(perPage), "page", strconv.Itoa(number)),
		}, reviewRows)
		if err != nil {
			return nil, err
		}
		events = append(events, r.restReviewEvents(reviews, told.invalid)...)
		if !told.next || len(reviews) == 0 {
			return events, nil
		}
	}
	return nil, errEndless(reviewsEndpoint)
}

func (r *reader) restReviewEvents(rows []*gogithub.PullRequestReview, broken map[int]fieldErrors) []activity.Event {
	events := make([]activity.Event, 0, len(rows))
	for i, row := range rows {
		if broken[i] != nil {
			r.client.reportInvalidRow(reviewsEndpoint, broken[i])
			continue
		}
		if row.SubmittedAt == nil {
			continue // pending: nobody has submitted it
		}
		id := activity.NumberID(row.GetID())
		events = append(events, r.newEvent(activity.KindReviewSubmitted, id, restActor(row.GetUser()), row.SubmittedAt.Time))
	}
	return events
}
