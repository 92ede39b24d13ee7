// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package github

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	gogithub "github.com/google/go-github/v66/github"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/github/budget"
	"github.com/seed-358c4d9d/githubexporter/internal/github/transport"
)

const contributorsEndpoint = "/repos/{owner}/{repo}/stats/contributors"

const (
	// maxWeekLines bounds the lines of one user's week; more are invalid.
	maxWeekLines = 1 << 40
	// maxContributors bounds the authors of a response. GitHub returns at most 100.
	maxContributors = 1000
)

// ContributorStats are GitHub's statistics of a repository's default branch: at most 100 authors with an account, and
// no merge commits.
type ContributorStats struct {
	// Pending says that GitHub is still computing the statistics: a later request returns them.
	Pending bool
	// Empty says that there are no commits at all.
	Empty        bool
	Contributors []Contributor
}

// Contributor is an author with the weeks that are not zero.
type Contributor struct {
	Actor activity.Actor
	Weeks []ContributorWeek
}

// ContributorWeek is what an author did in a week. Weeks start on Sunday 00:00 UTC.
type ContributorWeek struct {
	Start                   time.Time
	Commits, Added, Removed uint64
}

// HasNoLines reports whether there are commits and none of them has lines: GitHub returns that for repositories from
// 10,000 commits on (https://docs.github.com/rest/metrics/statistics#get-all-contributor-commit-activity).
func (c *ContributorStats) HasNoLines() bool {
	commits := false
	for i := range c.Contributors {
		for _, w := range c.Contributors[i].Weeks {
			if w.Added > 0 || w.Removed > 0 {
				return false
			}
			commits = commits || w.Commits > 0
		}
	}
	return commits
}

// contributorRow is an author in the response.
type contributorRow struct {
	Author *gogithub.User       `json:"author"`
	Weeks  []contributorWeekRow `json:"weeks"`
}

// contributorWeekRow is a week of an author in the response. Week is a Unix time in seconds.
type contributorWeekRow struct {
	Week      int64 `json:"w"`
	Additions int64 `json:"a"`
	Deletions int64 `json:"d"`
	Commits   int64 `json:"c"`
}

// contributorRows is the format of the statistics. validContributors checks the rows one by one.
var contributorRows = listFormat(func(*contributorRow, fieldErrors) bool { return true })

// ReadContributors requests the statistics of a repository with background priority
// (https://docs.github.com/rest/metrics/statistics#get-all-contributor-commit-activity).
func (c *Client) ReadContributors(ctx context.Context, org string, repo activity.Repository) (ContributorStats, error) {
	var rows []*contributorRow
	var invalid map[int]fieldErrors
	ctx = transport.WithScope(ctx, transport.Scope{RepoID: repo.ID, Priority: budget.Background})
	status, err := c.transport.Send(ctx, &transport.Call{
		Endpoint: contributorsEndpoint, Resource: budget.ResourceREST, Price: 1,
		Path:        repoPath(org, &repo, "/stats/contributors"),
		CallOptions: transport.CallOptions{NoRefusalRetry: true},
		Decode: func(r transport.Received) (info transport.BodyInfo, err error) {
			rows, info.Points = nil, 1
			switch r.Status {
			case http.StatusAccepted, http.StatusNoContent:
				return info, nil
			}
			if rows, invalid, err = contributorRows.decode(r.Body); err == nil && rows == nil {
				err = errors.New("null, not the list that was expected")
			}
			return info, err
		},
	})
	if err != nil {
		return ContributorStats{}, err
	}
	return ContributorStats{
		Pending: status == http.StatusAccepted, Empty: status == http.StatusNoContent,
		Contributors: c.validContributors(rows, invalid),
	}, nil
}

// validContributors returns the valid rows. It drops authors without an account, which cannot be distinguished.
func (c *Client) validContributors(rows []*contributorRow, invalid map[int]fieldErrors) []Contributor {
	if len(rows) > maxContributors {
		err := fmt.Errorf("%s: %d authors, want at most %d", contributorsEndpoint, len(rows), maxContributors)
		c.transport.ReportInvalidValue(err)
		rows = rows[:maxContributors]
	}
	list := make([]Contributor, 0, len(rows))
	for i, row := range rows {
		if invalid[i] != nil {
			c.reportInvalidRow(contributorsEndpoint, invalid[i])
			continue
		}
		if row == nil || row.Author.GetLogin() == "" {
			continue
		}
		actor := restActor(row.Author)
		if err := actor.Validate(); err != nil {
			c.transport.ReportInvalidValue(err)
			continue
		}
		list = append(list, Contributor{Actor: actor, Weeks: c.validWeeks(row.Weeks)})
	}
	return list
}

// validWeeks returns the valid weeks that are not zero.
func (c *Client) validWeeks(sums []contributorWeekRow) []ContributorWeek {
	var weeks []ContributorWeek
	for i := range sums {
		s := &sums[i]
		start := time.Unix(s.Week, 0).UTC()
		if !isWeekStart(start) || !inRange(s.Additions, maxWeekLines) || !inRange(s.Deletions, maxWeekLines) ||
			!inRange(s.Commits, maxWeekLines) {
			c.transport.ReportInvalidValue(fmt.Errorf("%s: a week of %+v", contributorsEndpoint, *s))
			continue
		}
		if s.Additions|s.Deletions|s.Commits == 0 {
			continue
		}
		weeks = append(weeks, ContributorWeek{
			Start: start, Commits: uint64(s.Commits), //nolint:gosec // not negative
			Added: uint64(s.Additions), Removed: uint64(s.Deletions), //nolint:gosec // not negative
		})
	}
	return weeks
}

// isWeekStart reports whether a time is a Sunday, 00:00 UTC, since 1970.
func isWeekStart(t time.Time) bool {
	return t.Unix() >= 0 && t.Year() < 2107 && t.Weekday() == time.Sunday && t.Equal(t.Truncate(24*time.Hour))
}

// inRange reports whether a number is from 0 to most.
func inRange(n, most int64) bool { return n >= 0 && n <= most }
