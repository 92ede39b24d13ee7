package github

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	gogithub "github.com/google/go-github/v66/github"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
)

// Discover calls page for each page of the repositories that the credential can see in the organization. A repository
// may come twice. It never searches: a search ends after 1,000 results.
func (c *Client) Discover(ctx context.Context, org string, page func([]activity.Repository) error) error {
	if c.settings.API == APIREST {
		return c.discoverREST(ctx, org, page)
	}
	return c.discoverGraphQL(ctx, org, page)
}

type discovered struct {
	Organization *struct {
		Repositories struct {
			PageInfo pageInfo          `json:"pageInfo"`
			Nodes    []*repositoryNode `json:"nodes"`
		} `json:"repositories"`
	} `json:"organization"`
	Pulls  *marks `json:"pulls"`
	Issues *marks `json:"issues"`
}

type pageInfo struct {
	HasNextPage bool   `json:"hasNextPage"`
	EndCursor   string `json:"endCursor"`
}

type repositoryNode struct {
	ID         string    `json:"id"`
	DatabaseID int64     `json:"databaseId"`
	Name       string    `json:"name"`
	IsArchived bool      `json:"isArchived"`
	IsFork     bool      `json:"isFork"`
	IsPrivate  bool      `json:"isPrivate"`
	IsEmpty    bool      `json:"isEmpty"`
	PushedAt   time.Time `json:"pushedAt"`
	Branch     *struct {
		Target *struct {
			OID string `json:"oid"`
		} `json:"target"`
	} `json:"defaultBranchRef"`
}

// marks are the newest pull request or issue of each repository.
type marks struct {
	Repositories struct {
		Nodes []*struct {
			ID     string    `json:"id"`
			Pulls  *markList `json:"pullRequests"`
			Issues *markList `json:"issues"`
		} `json:"nodes"`
	} `json:"repositories"`
}

type markList struct {
	Nodes []*struct {
		Number    int64     `json:"number"`
		UpdatedAt time.Time `json:"updatedAt"`
	} `json:"nodes"`
}

func (l *markList) mark() activity.Mark {
	if len(l.Nodes) == 0 || l.Nodes[0] == nil {
		return activity.Mark{}
	}
	return activity.Mark{Number: l.Nodes[0].Number, UpdatedAt: l.Nodes[0].UpdatedAt}
}

// discoverGraphQL reads pages in the order of creation: what is created meanwhile comes last, and what vanishes moves
// nothing, because a cursor is a value. A page of 100 costs 2 points.
func (c *Client) discoverGraphQL(ctx context.Context, org string, page func([]activity.Repository) error) error {
	var after *string
	for range maxPages {
		found, errs, err := c.discoverPage(ctx, org, after)
		if err != nil {
			return err
		}
		if found.Organization == nil {
			return missing(discoverQuery, under(errs, "organization"), "organization")
		}
		repositories, err := c.repositories(&found, errs)
		if err != nil {
			return err
		}
		if err := page(repositories); err != nil {
			return err
		}
		info := found.Organization.Repositories.PageInfo
		if !info.HasNextPage {
			return nil
		}
		if after != nil && *after == info.EndCursor {
			return errEndless(discoverQuery.name)
		}
		after = &info.EndCursor
	}
	return errEndless(discoverQuery.name)
}

// discoverPage asks for a page, and for a smaller one when that was too much.
func (c *Client) discoverPage(ctx context.Context, org string, after *string) (discovered, []graphqlError, error) {
	for {
		found, errs, err := ask[discovered](ctx, c, discoverQuery, !c.pages.smallest(), map[string]any{
			"org": org, "first": c.pages.now(), "after": after,
		})
		if err == nil {
			c.pages.worked()
			return found, errs, nil
		}
		if !c.pages.shrink(err) {
			return discovered{}, nil, err
		}
	}
}

// repositories makes repositories of a page. A node that is null without a good reason fails the page: the repository
// is there, and taking it for gone would end its series.
func (c *Client) repositories(found *discovered, errs []graphqlError) ([]activity.Repository, error) {
	if found.Organization.Repositories.Nodes == nil {
		return nil, missing(discoverQuery, under(errs, "organization"), "repositories")
	}
	pulls, issues := index(found.Pulls), index(found.Issues)
	list := make([]activity.Repository, 0, len(found.Organization.Repositories.Nodes))
	for i, node := range found.Organization.Repositories.Nodes {
		if node == nil {
			if err := nullNode(errs, i); err != nil {
				return nil, err
			}
			continue
		}
		if !c.honest(node.DatabaseID, node.Name) {
			continue
		}
		repo := node.repository()
		if mark, ok := pulls[node.ID]; ok {
			repo.Signals.Pulls = mark
			repo.Signals.Known = repo.Signals.Known.With(activity.StreamPulls)
		}
		if mark, ok := issues[node.ID]; ok && repo.Signals.Known.Has(activity.StreamPulls) {
			repo.Signals.Issues = mark
			repo.Signals.Known = repo.Signals.Known.With(activity.StreamComments)
		}
		list = append(list, repo)
	}
	return list, nil
}

// nullNode is the error of a repository that is null: none when the credential may not see it.
func nullNode(errs []graphqlError, i int) error {
	for k := range errs {
		e := &errs[k]
		if len(e.Path) < 4 || e.Path[0] != "organization" || e.Path[3] != float64(i) {
			continue
		}
		err := failure(discoverQuery, e)
		if _, ok := errors.AsType[*UnavailableError](err); ok {
			return err
		}
		return nil
	}
	return missing(discoverQuery, nil, "repository in its place of the page")
}

func (n *repositoryNode) repository() activity.Repository {
	repo := activity.Repository{
		ID: n.DatabaseID, NodeID: n.ID, Name: n.Name,
		Archived: n.IsArchived, Fork: n.IsFork, Private: n.IsPrivate, Empty: n.IsEmpty,
		Signals: activity.Signals{Known: activity.StreamsOf(activity.StreamCommits), PushedAt: n.PushedAt},
	}
	if n.Branch != nil && n.Branch.Target != nil {
		repo.Signals.Head = n.Branch.Target.OID
	}
	return repo
}

// index has the marks by the repository's node id. What the credential may not read is not in it.
func index(m *marks) map[string]activity.Mark {
	if m == nil {
		return nil
	}
	byID := make(map[string]activity.Mark, len(m.Repositories.Nodes))
	for _, node := range m.Repositories.Nodes {
		switch {
		case node == nil:
		case node.Pulls != nil:
			byID[node.ID] = node.Pulls.mark()
		case node.Issues != nil:
			byID[node.ID] = node.Issues.mark()
		}
	}
	return byID
}

func under(errs []graphqlError, first string) []graphqlError {
	for i := range errs {
		if errs[i].under(first) {
			return errs[i : i+1]
		}
	}
	return nil
}

// honest reports whether a repository can be one of GitHub's.
func (c *Client) honest(id int64, name string) bool {
	if id > 0 && name != "" && len(name) <= 100 && activity.Printable(name) {
		return true
	}
	c.settings.OnInvalid(fmt.Errorf("repository %d %q: no id, or a name that GitHub does not give", id, printable(name)))
	return false
}

const orgReposEndpoint = "/orgs/{org}/repos"

// discoverREST reads the first page, then the last one and so on down to the first again: a repository that is deleted
// meanwhile moves others only towards pages that are still to be read.
func (c *Client) discoverREST(ctx context.Context, org string, page func([]activity.Repository) error) error {
	repositories, told, err := c.orgRepos(ctx, org, 1)
	if err != nil {
		return err
	}
	if err := page(repositories); err != nil {
		return err
	}
	last := told.last
	if last == 0 && told.next {
		return c.discoverOnwards(ctx, org, page)
	}
	if last > maxPages {
		return errEndless(orgReposEndpoint)
	}
	for number := last; number >= 1; number-- {
		repositories, _, err := c.orgRepos(ctx, org, number)
		if err != nil {
			return err
		}
		if err := page(repositories); err != nil {
			return err
		}
	}
	return nil
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
	for _, row := range rows {
		if !c.honest(row.GetID(), row.GetName()) {
			continue
		}
		list = append(list, activity.Repository{
			ID: row.GetID(), NodeID: row.GetNodeID(), Name: row.GetName(),
			Archived: row.GetArchived(), Fork: row.GetFork(), Private: row.GetPrivate(),
			Signals: activity.Signals{
				Known: activity.StreamsOf(activity.StreamCommits), PushedAt: row.GetPushedAt().Time,
			},
		})
	}
	return list, told, nil
}
