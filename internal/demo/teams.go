// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest"
)

const (
	// demoTeams is how many repositories have a team, demoMembers how many people are in it.
	demoTeams   = 6
	demoMembers = 6
	// parentTeam is the team above those of repositories.
	parentTeam = "maintainers"
)

// addTeams adds a team for each of the busiest repositories, of the people who did most in it, below a team of all. So
// some people are in several teams.
func addTeams(data *githubtest.Dataset) {
	data.Teams = []githubtest.Team{{Slug: parentTeam, Name: "Maintainers"}}
	events := make(map[string]map[string]int)
	add := func(repo string, login *string) {
		if login == nil || strings.HasSuffix(*login, "[bot]") {
			return
		}
		if events[repo] == nil {
			events[repo] = make(map[string]int)
		}
		events[repo][*login]++
	}
	for i := range data.Commits {
		add(data.Commits[i].Repo, data.Commits[i].Login)
	}
	for i := range data.Pulls {
		add(data.Pulls[i].Repo, data.Pulls[i].Login)
	}
	for i := range data.Reviews {
		add(data.Reviews[i].Repo, data.Reviews[i].Login)
	}
	total := make(map[string]int)
	for repo, users := range events {
		for _, n := range users {
			total[repo] += n
		}
	}
	for _, repo := range most(total, demoTeams) {
		data.Teams = append(data.Teams, githubtest.Team{
			Slug: strings.TrimPrefix(repo, "opentelemetry-"), Parent: parentTeam,
			Members: most(events[repo], demoMembers),
		})
	}
}

// most returns the names with the largest numbers, the largest first.
func most(numbers map[string]int, limit int) []string {
	names := slices.SortedFunc(maps.Keys(numbers), func(a, b string) int {
		return cmp.Or(cmp.Compare(numbers[b], numbers[a]), strings.Compare(a, b))
	})
	return names[:min(limit, len(names))]
}
