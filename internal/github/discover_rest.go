package github

import (
	"context"
	"net/http"
	"strconv"
	"sync"

	gogithub "github.com/google/go-github/v66/github"
	"golang.org/x/sync/errgroup"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
)

const orgRepositoriesEndpoint = "/orgs/{org}/repos"

// discoverREST reads the first page, which tells the last one, and then the others from the last one down, several at once:
// a repository that is deleted meanwhile moves others only towards pages that are still to be read, but for those of the
// pages that are under way.
func (c *Client) discoverREST(ctx context.Context, org string, page func([]activity.Repository) error) error {
	l := &restListing{client: c, org: org, page: page}
	told, _, err := l.readPage(ctx, 1)
	if err != nil {
		return err
	}
	switch last := told.last; {
	case last == 0 && told.next:
		err = l.readForward(ctx)
	case last > maxPages:
		err = errEndless(orgRepositoriesEndpoint)
	default:
		err = l.readBackward(ctx, last)
	}
	if err == nil && l.incomplete.Missing > 0 {
		return &l.incomplete
	}
	return err
}

// restListing is one discovery with REST.
type restListing struct {
	client *Client
	org    string

	mu   sync.Mutex // held while a page is handed out
	page func([]activity.Repository) error
	// incomplete are the repositories that GitHub did not show: it does not say how many, so that they count as one.
	incomplete IncompleteError
}

// readPage reads a page and hands it out. It returns how many repositories were in it.
func (l *restListing) readPage(ctx context.Context, number int) (restPage, int, error) {
	repositories, told, err := l.client.requestOrgRepositories(ctx, l.org, number)
	if err != nil {
		return told, 0, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if told.hiddenRows != "" && l.incomplete.Missing == 0 {
		l.incomplete.add(&ForbiddenError{Response: Response{Endpoint: orgRepositoriesEndpoint, Status: http.StatusOK, Message: told.hiddenRows}})
	}
	return told, len(repositories), l.page(repositories)
}

// readBackward reads the pages from the last one down to the second.
func (l *restListing) readBackward(ctx context.Context, last int) error {
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(listingConcurrency)
	for number := last; number >= 2 && groupCtx.Err() == nil; number-- {
		group.Go(func() error {
			_, _, err := l.readPage(groupCtx, number)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	return context.Cause(ctx)
}

// readForward reads page after page where GitHub does not say the number of the last one.
func (l *restListing) readForward(ctx context.Context) error {
	for number := 2; number <= maxPages; number++ {
		told, rows, err := l.readPage(ctx, number)
		if err != nil {
			return err
		}
		if !told.next || rows == 0 {
			return nil
		}
	}
	return errEndless(orgRepositoriesEndpoint)
}

// requestOrgRepositories is a page of the listing
// (https://docs.github.com/rest/repos/repos#list-organization-repositories).
func (c *Client) requestOrgRepositories(ctx context.Context, org string, number int) ([]activity.Repository, restPage, error) {
	rows, told, err := get(ctx, c, restRequest{
		endpoint: orgRepositoriesEndpoint, path: "orgs/" + org + "/repos",
		query: values("type", "all", "sort", "created", "direction", "asc",
			"per_page", strconv.Itoa(perPage), "page", strconv.Itoa(number)),
	}, repositoryRows)
	if err != nil {
		return nil, told, err
	}
	list := make([]activity.Repository, 0, len(rows))
	for i, row := range rows {
		if wrong := told.invalid[i]; wrong != nil {
			c.reportInvalidRow(orgRepositoriesEndpoint, wrong)
		}
		if c.isValidRepository(row.GetID(), row.GetName()) {
			list = append(list, repositoryOfRow(row, told.invalid[i]))
		}
	}
	return list, told, nil
}

// repositoryRow is a repository of an answer of REST.
type repositoryRow struct {
	gogithub.Repository

	// HasPullRequests is nil where the server does not know that pull requests can be switched off.
	HasPullRequests *bool `json:"has_pull_requests"`
}

// repositoryFields are the fields of a repositoryRow that are used.
var repositoryFields = []string{
	"id", "node_id", "name", "archived", "fork", "private", "pushed_at", "owner",
	"has_issues", "has_pull_requests", "default_branch",
}

// repositoryRows is the format of a page of repositories.
var repositoryRows = listOf((*repositoryRow).isComplete, repositoryFields...)

func (r *repositoryRow) isComplete(wrong fieldErrors) bool {
	return wrong.present(r.ID != nil, "id") && wrong.present(r.NodeID != nil, "node_id") &&
		wrong.present(r.Name != nil, "name") && wrong.present(r.Archived != nil, "archived") &&
		wrong.present(r.Fork != nil, "fork") && wrong.present(r.Private != nil, "private") &&
		wrong.present(r.DefaultBranch != nil, "default_branch")
}

// repositoryOfRow makes a repository of a row: the push time and the default branch are all that REST tells of changes,
// and nothing does where a value cannot be decoded.
func repositoryOfRow(row *repositoryRow, wrong fieldErrors) activity.Repository {
	repo := activity.Repository{
		ID: row.GetID(), NodeID: row.GetNodeID(), Name: row.GetName(),
		Archived: row.GetArchived(), Fork: row.GetFork(), Private: row.GetPrivate(),
		FlagsUnknown: wrong.hasAny("archived", "fork", "has_issues", "has_pull_requests"),
		Signals: activity.Signals{
			Streams: activity.StreamsOf(activity.StreamCommits), PushedAt: row.GetPushedAt().Time, Archived: row.GetArchived(),
			Disabled: streamsOff(row.HasPullRequests, row.HasIssues), Branch: printable(row.GetDefaultBranch()),
		},
	}
	if wrong != nil {
		repo.Signals.Streams = 0
	}
	return repo
}
