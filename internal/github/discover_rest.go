package github

import (
	"context"
	"strconv"
	"sync"

	gogithub "github.com/google/go-github/v66/github"
	"golang.org/x/sync/errgroup"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
)

const orgReposEndpoint = "/orgs/{org}/repos"

// discoverREST reads the first page, which tells the last one, and then the others from the last one down, several at once:
// a repository that is deleted meanwhile moves others only towards pages that are still to be read, but for those of the
// pages that are under way.
func (c *Client) discoverREST(ctx context.Context, org string, page func([]activity.Repository) error) error {
	repositories, told, err := c.orgRepos(ctx, org, 1)
	if err != nil {
		return err
	}
	if err := page(repositories); err != nil {
		return err
	}
	switch last := told.last; {
	case last == 0 && told.next:
		return c.discoverOnwards(ctx, org, page)
	case last > maxPages:
		return errEndless(orgReposEndpoint)
	default:
		return c.discoverDown(ctx, org, last, page)
	}
}

// discoverDown reads the pages from the last one down to the second.
func (c *Client) discoverDown(ctx context.Context, org string, last int, page func([]activity.Repository) error) error {
	var mu sync.Mutex
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	for number := last; number >= 2 && groupCtx.Err() == nil; number-- {
		group.Go(func() error {
			repositories, _, err := c.orgRepos(groupCtx, org, number)
			if err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			return page(repositories)
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	return context.Cause(ctx)
}

// discoverOnwards reads page after page where the number of the last one is not told.
func (c *Client) discoverOnwards(ctx context.Context, org string, page func([]activity.Repository) error) error {
	for number := 2; number <= maxPages; number++ {
		repositories, told, err := c.orgRepos(ctx, org, number)
		if err != nil {
			return err
		}
		if err := page(repositories); err != nil {
			return err
		}
		if !told.next || len(repositories) == 0 {
			return nil
		}
	}
	return errEndless(orgReposEndpoint)
}

// orgRepos is a page of the listing
// (https://docs.github.com/rest/repos/repos#list-organization-repositories).
func (c *Client) orgRepos(ctx context.Context, org string, number int) ([]activity.Repository, page, error) {
	rows, told, err := get[[]*gogithub.Repository](ctx, c, orgReposEndpoint, "orgs/"+org+"/repos",
		values("type", "all", "sort", "created", "direction", "asc", "per_page", strconv.Itoa(perPage), "page", strconv.Itoa(number)))
	if err != nil {
		return nil, told, err
	}
	list := make([]activity.Repository, 0, len(rows))
	for i, row := range rows {
		if wrong := told.broken[i]; wrong != nil {
			c.invalidRow(orgReposEndpoint, wrong)
		}
		if c.honest(row.GetID(), row.GetName()) {
			list = append(list, restRepository(row, told.broken[i]))
		}
	}
	return list, told, nil
}

// restRepository makes a repository of a row: the push time is all that REST tells of changes, and nothing does where a value
// cannot be decoded.
func restRepository(row *gogithub.Repository, wrong fieldErrors) activity.Repository {
	repo := activity.Repository{
		ID: row.GetID(), NodeID: row.GetNodeID(), Name: row.GetName(),
		Archived: row.GetArchived(), Fork: row.GetFork(), Private: row.GetPrivate(),
		Signals: activity.Signals{Known: activity.StreamsOf(activity.StreamCommits), PushedAt: row.GetPushedAt().Time, Archived: row.GetArchived()},
	}
	if wrong != nil {
		repo.Signals.Known = 0
	}
	return repo
}
