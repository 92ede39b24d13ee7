// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package github

import (
	"math"
	"slices"
	"strings"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/github/transport"
)

// bytesPerKiB converts sizes: GitHub has them in KiB.
const bytesPerKiB = 1024

// factFields are the fields of a repository in a listing that are facts; nil where GitHub did not return one.
type factFields struct {
	Visibility *string      `json:"visibility"`
	IsTemplate *bool        `json:"isTemplate"`
	Stars      *int64       `json:"stargazerCount"`
	Forks      *int64       `json:"forkCount"`
	DiskUsage  *int64       `json:"diskUsage"`
	Language   *namedObject `json:"primaryLanguage"`
	Topics     *topicList   `json:"repositoryTopics"`
}

// factNodeFields and factRowFields are the fields of nodes and rows without which the signals are valid.
var (
	factNodeFields = []string{
		"visibility", "isTemplate", "stargazerCount", "forkCount", "diskUsage", "primaryLanguage", "repositoryTopics",
	}
	factRowFields = []string{
		"visibility", "language", "is_template", "stargazers_count", "forks_count", "size", "created_at", "topics",
	}
)

// namedObject is an object of which the name is used.
type namedObject struct {
	Name string `json:"name"`
}

// topicList is the connection of topics.
type topicList struct {
	Nodes []*struct {
		Topic *namedObject `json:"topic"`
	} `json:"nodes"`
}

// names returns the names of the topics; false where GitHub did not return them.
func (l *topicList) names() ([]string, bool) {
	if l == nil || l.Nodes == nil {
		return nil, false
	}
	names := make([]string, 0, len(l.Nodes))
	for _, node := range l.Nodes {
		if node == nil || node.Topic == nil {
			return nil, false
		}
		names = append(names, node.Topic.Name)
	}
	return names, true
}

// repositoryOfNode converts a node with its facts.
func (c *Client) repositoryOfNode(n *repositoryNode, m latestUpdates, isIncomplete bool) activity.Repository {
	repo := n.repository(m, isIncomplete)
	f := &repo.Facts
	f.Archived, f.Fork, f.Empty = repo.Archived, repo.Fork, repo.Empty
	f.Visibility = visibilityOf(n.Visibility, repo.Private)
	f.CreatedAt, f.PushedAt = factTime(n.CreatedAt), factTime(n.PushedAt)
	f.Stars, f.Forks, f.Size = numberOf(n.Stars, 1), numberOf(n.Forks, 1), numberOf(n.DiskUsage, bytesPerKiB)
	if n.Language != nil {
		f.Language = transport.Printable(n.Language.Name)
	}
	if n.Branch != nil {
		f.DefaultBranch = transport.Printable(n.Branch.Name)
	}
	if n.IsTemplate != nil {
		f.Template, f.TemplateKnown = *n.IsTemplate, true
	}
	if names, ok := n.Topics.names(); ok {
		c.setTopics(f, names)
	}
	c.properties.set(f, repo.ID)
	return repo
}

// repositoryOfRow converts a row with its facts. REST does not tell whether a repository is empty: one of size 0 counts
// as empty.
func (c *Client) repositoryOfRow(row *repositoryRow, wrong fieldErrors) activity.Repository {
	repo := repositoryOfRow(row, wrong)
	f := &repo.Facts
	f.Archived, f.Fork, f.Empty = repo.Archived, repo.Fork, row.SizeKiB != nil && *row.SizeKiB == 0
	f.Visibility = visibilityOf(row.Visibility, repo.Private)
	f.CreatedAt, f.PushedAt = factTime(row.GetCreatedAt().Time), factTime(row.GetPushedAt().Time)
	f.Stars, f.Forks = intOf(row.StargazersCount), intOf(row.ForksCount)
	f.Size = numberOf(row.SizeKiB, bytesPerKiB)
	f.Language = transport.Printable(row.GetLanguage())
	if !f.Empty {
		f.DefaultBranch = repo.Signals.Branch
	}
	if row.IsTemplate != nil {
		f.Template, f.TemplateKnown = *row.IsTemplate, true
	}
	if row.Topics != nil {
		c.setTopics(f, row.Topics)
	}
	c.properties.set(f, repo.ID)
	return repo
}

// visibilityOf returns the visibility in lower case; where GitHub did not return it, what the flag says.
func visibilityOf(visibility *string, isPrivate bool) string {
	switch {
	case visibility != nil && *visibility != "":
		return transport.Printable(strings.ToLower(*visibility))
	case isPrivate:
		return "private"
	default:
		return "public"
	}
}

// numberOf returns a number times a factor; unknown for nil, for a negative one, and for one that is too large.
func numberOf(n *int64, factor int64) activity.Number {
	if n == nil || *n < 0 || *n > math.MaxInt64/factor-1 {
		return activity.Number{}
	}
	return activity.KnownNumber(uint64(*n * factor)) //nolint:gosec // not negative
}

// intOf returns a number; unknown for nil and for a negative one.
func intOf(n *int) activity.Number {
	if n == nil {
		return activity.Number{}
	}
	return numberOf(new(int64(*n)), 1)
}

// factTime returns a time in whole seconds; zero for one that is not after 1970.
func factTime(t time.Time) time.Time {
	if t.Unix() <= 0 {
		return time.Time{}
	}
	return t.UTC().Truncate(time.Second)
}

// setTopics sets which of the configured topics a repository has.
func (c *Client) setTopics(f *activity.RepoFacts, names []string) {
	for _, topic := range c.settings.Topics {
		f.Topics = append(f.Topics, activity.Topic{Name: topic, Has: slices.Contains(names, topic)})
	}
	slices.SortFunc(f.Topics, func(a, b activity.Topic) int { return strings.Compare(a.Name, b.Name) })
}
