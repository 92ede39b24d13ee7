// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"fmt"
	"net/url"
)

// Scope is whose report it is.
type Scope uint8

// The scopes. A member of several organizations counts with all activity in each of them, and once in the enterprise.
const (
	ScopeOrganization Scope = iota
	ScopeEnterprise
)

// Content is what the rows of a report are about.
type Content uint8

// The contents.
const (
	// ContentAggregate has a row for each day (ReadAggregates).
	ContentAggregate Content = iota
	// ContentUsers has a row for each user and day with activity (ReadUsers).
	ContentUsers
	// ContentTeams has a row for each user and team (ReadTeams).
	ContentTeams
	// ContentRepositories has a row for each repository with activity in pull requests (ReadRepositories).
	ContentRepositories
)

// Window is how many days a report is about.
type Window uint8

// The windows.
const (
	// Window28Days is the newest report of 28 days. There is none of teams and repositories.
	Window28Days Window = iota
	// WindowDay is the report of a day.
	WindowDay
)

// String returns the window's value of the label window.
func (w Window) String() string { return [2]string{"28d", "1d"}[min(w, WindowDay)] }

// Type identifies one of the twelve reports
// (https://docs.github.com/rest/copilot/copilot-usage-metrics).
type Type struct {
	Scope   Scope
	Content Content
	Window  Window
}

// Types lists the twelve reports.
func Types() []Type {
	var types []Type
	for _, scope := range []Scope{ScopeOrganization, ScopeEnterprise} {
		for _, content := range []Content{ContentAggregate, ContentUsers, ContentTeams, ContentRepositories} {
			for _, window := range []Window{Window28Days, WindowDay} {
				if t := (Type{scope, content, window}); t.exists() {
					types = append(types, t)
				}
			}
		}
	}
	return types
}

func (t Type) exists() bool {
	return t.Window == WindowDay || t.Content == ContentAggregate || t.Content == ContentUsers
}

// Label returns the type's value of the label scope: org, org_users, org_teams, org_repos, or the same with
// enterprise.
func (t Type) Label() string {
	owner := [2]string{"org", "enterprise"}[min(t.Scope, ScopeEnterprise)]
	return owner + [4]string{"", "_users", "_teams", "_repos"}[min(t.Content, ContentRepositories)]
}

// String returns the type for logs, such as org_users_28d.
func (t Type) String() string { return t.Label() + "_" + t.Window.String() }

// Route returns the template of the type's path, such as
// /orgs/{org}/copilot/metrics/reports/users-28-day/latest.
func (t Type) Route() string {
	owner := [2]string{"/orgs/{org}", "/enterprises/{enterprise}"}[min(t.Scope, ScopeEnterprise)]
	return owner + "/copilot/metrics/reports/" + t.name()
}

func (t Type) name() string {
	content := [2][4]string{
		{"organization", "users", "user-teams", "repos"}, {"enterprise", "users", "user-teams", "repos"},
	}[min(t.Scope, ScopeEnterprise)][min(t.Content, ContentRepositories)]
	if t.Window == WindowDay {
		return content + "-1-day"
	}
	return content + "-28-day/latest"
}

// Path returns the type's path and query at the REST API, for an organization or an enterprise. The day is that of a
// WindowDay report, and ignored otherwise.
func (t Type) Path(owner string, day Day) string {
	folder := [2]string{"orgs", "enterprises"}[min(t.Scope, ScopeEnterprise)]
	path := fmt.Sprintf("/%s/%s/copilot/metrics/reports/%s", folder, url.PathEscape(owner), t.name())
	if t.Window == WindowDay {
		path += "?day=" + day.String()
	}
	return path
}
