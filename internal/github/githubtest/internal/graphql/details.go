// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package graphql

import (
	"fmt"

	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest/internal/served"
)

// repoDetail returns a field of a repository that is about its properties and counts; false for another field.
func (e *execution) repoDetail(r *served.Repo, name string, a args) (any, bool, error) {
	switch name {
	case "diskUsage":
		return e.Size(r), true, nil
	case "forkCount":
		return r.Forks, true, nil
	case "isTemplate":
		return r.Template, true, nil
	case "stargazerCount":
		return r.Stars, true, nil
	case "primaryLanguage":
		return e.language(r), true, nil
	case "watchers":
		return watchers(r, a), true, nil
	case "latestRelease":
		if release, ok := e.LatestRelease(r); ok {
			return releaseNode{release}, true, nil
		}
		return nil, true, nil
	case "releases":
		found, err := e.releases(r, a)
		return found, true, err
	case "repositoryTopics":
		found, err := topics(r, a)
		return found, true, err
	default:
		return nil, false, nil
	}
}

// language returns the language of a repository; null for none, and for an empty one.
func (e *execution) language(r *served.Repo) any {
	if r.Language == "" || e.IsEmpty(r) {
		return nil
	}
	return record{"Language", obj{"id": served.NodeID("LA", r.DatabaseID, r.Language), "name": r.Language}}
}

// watchers returns a connection with the number of users alone.
func watchers(r *served.Repo, a args) *connection {
	c := &connection{typ: "UserConnection", cursor: valueCursor, total: func() int { return r.Watchers }}
	c.cut(nil, a)
	return c
}

func (e *execution) releases(r *served.Repo, a args) (any, error) {
	var rows []row
	for _, release := range e.Releases(r) {
		rows = append(rows, row{key: served.SortKey(release.Created, release.ID), node: releaseNode{release}})
	}
	_, desc := a.order("CREATED_AT")
	return connect("ReleaseConnection", rows, a, desc)
}

func topics(r *served.Repo, a args) (any, error) {
	var rows []row
	for _, topic := range r.Topics {
		rows = append(rows, row{key: topic, node: record{"RepositoryTopic", obj{
			"id":    served.NodeID("RT", r.DatabaseID, topic),
			"topic": record{"Topic", obj{"id": served.NodeID("TO", 1, topic), "name": topic}},
		}}})
	}
	return connect("RepositoryTopicConnection", rows, a, false)
}

// releaseNode is Release.
type releaseNode struct{ release served.Release }

func (releaseNode) typeName() string { return "Release" }

func (n releaseNode) field(_ *execution, name string, _ args) (any, error) {
	r := n.release
	switch name {
	case "id":
		return served.NodeID("RE", r.ID, ""), nil
	case "databaseId":
		return databaseID(r.ID), nil
	case "author":
		if r.Author == nil || r.Author.IsBot() {
			return nil, nil
		}
		return userNode{r.Author, "User"}, nil
	case "createdAt":
		return r.Created, nil
	case "publishedAt":
		return r.Published, nil
	case "isDraft":
		return false, nil
	case "isPrerelease":
		return r.Prerelease, nil
	case "tagName":
		return r.Tag, nil
	default:
		return nil, fmt.Errorf("no field %s of a release", name)
	}
}
