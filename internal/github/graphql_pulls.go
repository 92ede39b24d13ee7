package github

import (
	"context"
	"net/http"
	"strconv"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
)

// readPullsGraphQL reads the pull requests from the first page on.
func (r *reader) readPullsGraphQL(ctx context.Context, data *repositoryActivity, errs []graphqlError) error {
	first := data
	return r.scanPulls(ctx, func(ctx context.Context, cursor string) (pullPage, string, error) {
		if first == nil {
			v := r.variables()
			v.Pulls, v.PullsFirst = true, pullsNextPageSize
			if cursor != "" {
				v.PullsAfter = &cursor
			}
			var err error
			if first, errs, err = r.requestActivity(ctx, &v); err != nil {
				return nil, "", err
			}
		}
		data, dataErrs := first, errs
		first = nil
		return r.graphqlPullPage(data, dataErrs)
	})
}

// errPullsOff is what REST says of pull requests that are switched off. They may have been switched off after the
// repository was discovered: an empty list says nothing then.
func errPullsOff() error {
	return &NotFoundError{Response{
		Endpoint: activityQuery.name, Status: http.StatusOK, Message: "pull requests are switched off",
	}}
}

func (r *reader) graphqlPullPage(data *repositoryActivity, errs []graphqlError) (pullPage, string, error) {
	if string(data.HasPulls) == "false" {
		return nil, "", errPullsOff()
	}
	if data.Pulls == nil || data.Pulls.Nodes == nil {
		return nil, "", missing(activityQuery, errs, "pull requests")
	}
	if err := unanswered(activityQuery, errs, "pullRequests"); err != nil {
		return nil, "", err
	}
	rows := make(pullPage, 0, len(data.Pulls.Nodes))
	for _, n := range data.Pulls.Nodes {
		if n == nil || (n.Reviews == nil && n.invalid["reviews"] == nil) {
			return nil, "", missing(activityQuery, errs, "pull request in its place of the page")
		}
		if n.invalid != nil {
			r.client.reportInvalidRow(activityQuery.name, n.invalid)
			if n.invalid["updatedAt"] != nil {
				continue // it has no place in the order
			}
		}
		rows = append(rows, pullRow{
			updatedAt: n.UpdatedAt, isComplete: n.Reviews == nil || !n.Reviews.PageInfo.HasNextPage,
			events: func(ctx context.Context) ([]activity.Event, error) { return r.graphqlPullEvents(ctx, n) },
		})
	}
	if info := data.Pulls.PageInfo; info.HasNextPage {
		return rows, info.EndCursor, nil
	}
	return rows, "", nil
}

func (r *reader) graphqlPullEvents(ctx context.Context, n *pullNode) ([]activity.Event, error) {
	var events []activity.Event
	if n.invalid == nil || n.invalid.hasOnly("reviews") {
		events = r.newPullEvents(n.Number, n.Author.actor(), n.CreatedAt, n.MergedAt)
	}
	reviews := n.Reviews
	if reviews == nil {
		return events, nil
	}
	for range maxPages {
		events = append(events, r.graphqlReviewEvents(reviews.Nodes)...)
		if !reviews.PageInfo.HasNextPage {
			return events, nil
		}
		var err error
		if reviews, err = r.requestReviews(ctx, n.ID, reviews.PageInfo.EndCursor); err != nil {
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

func (r *reader) requestReviews(ctx context.Context, id, after string) (*reviewConnection, error) {
	type reviewsData struct {
		Node *struct {
			Reviews *reviewConnection `json:"reviews"`
		} `json:"node"`
	}
	data, errs, err := ask[reviewsData](ctx, r.client, question{}, reviewsVariables{ID: id, After: after})
	if err != nil {
		return nil, err
	}
	if data.Node == nil || data.Node.Reviews == nil {
		return nil, missing(reviewsQuery, errs, "reviews")
	}
	if err := unanswered(reviewsQuery, errs, "reviews"); err != nil {
		return nil, err
	}
	if next := data.Node.Reviews.PageInfo; next.HasNextPage && next.EndCursor == after {
		return nil, errEndless(reviewsQuery.name)
	}
	return data.Node.Reviews, nil
}

func (r *reader) graphqlReviewEvents(nodes []*reviewNode) []activity.Event {
	events := make([]activity.Event, 0, len(nodes))
	for _, n := range nodes {
		if n == nil || (n.SubmittedAt == nil && n.invalid == nil) {
			continue // pending: nobody has submitted it
		}
		if n.invalid != nil {
			r.client.reportInvalidRow(reviewsQuery.name, n.invalid)
			continue
		}
		id, err := strconv.ParseInt(n.FullDatabaseID.String(), 10, 64)
		if err != nil {
			r.client.settings.OnInvalidValue(err)
			continue
		}
		events = append(events, r.newEvent(activity.KindReviewSubmitted, activity.NumberID(id), n.Author.actor(), *n.SubmittedAt))
	}
	return events
}
