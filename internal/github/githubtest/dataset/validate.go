// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package dataset

import (
	"errors"
	"fmt"
)

// ErrInconsistent is the error of a dataset whose rows contradict each other or its counts.
var ErrInconsistent = errors.New("dataset is inconsistent")

// Validate checks what the server relies on: names are set and unique, rows refer to repositories and pull requests
// that exist, counts are right.
func (d *Dataset) Validate() error {
	if d.Org.Login == "" {
		return fmt.Errorf("%w: org.json: no org", ErrInconsistent)
	}
	v := rowChecks{repos: map[string]bool{}, pulls: map[string]bool{}, seen: map[string]bool{}}
	for _, r := range d.Repos {
		v.requireUnique("repository", r.Name)
		v.repos[r.Name] = true
	}
	for _, r := range d.Commits {
		v.requireRepo("commit", r.Repo)
		v.requireUnique("commit", r.Repo+"@"+r.SHA)
	}
	for _, r := range d.Pulls {
		v.requireRepo("pull", r.Repo)
		key := fmt.Sprintf("%s#%d", r.Repo, r.Number)
		v.requireUnique("pull", key)
		v.pulls[key] = true
	}
	for _, r := range d.Reviews {
		v.checkReview(r)
	}
	for _, r := range d.Comments {
		v.requireRepo("comment", r.Repo)
		v.requireUnique("comment", fmt.Sprintf("%s/%d", r.Repo, r.ID))
	}
	for _, r := range d.Issues {
		v.requireRepo("issue", r.Repo)
		key := fmt.Sprintf("%s#%d", r.Repo, r.Number)
		v.requireUnique("issue", key)
		if v.pulls[key] {
			v.addError("issue %s is a pull request", key)
		}
	}
	v.checkTeams(d)
	v.checkCounts(d)
	return errors.Join(v.errs...)
}

// rowChecks collects the errors of rows, the first ten.
type rowChecks struct {
	repos, pulls, seen map[string]bool
	errs               []error
}

func (v *rowChecks) addError(format string, args ...any) {
	if len(v.errs) < 10 {
		v.errs = append(v.errs, fmt.Errorf("%w: %s", ErrInconsistent, fmt.Sprintf(format, args...)))
	}
}

func (v *rowChecks) requireUnique(kind, key string) {
	if v.seen[kind+" "+key] || key == "" {
		v.addError("%s %q is empty or comes twice", kind, key)
	}
	v.seen[kind+" "+key] = true
}

func (v *rowChecks) requireRepo(kind, name string) {
	if !v.repos[name] {
		v.addError("%s of unknown repository %q", kind, name)
	}
}

func (v *rowChecks) checkReview(r Review) {
	if key := fmt.Sprintf("%s#%d", r.Repo, r.Pull); !v.pulls[key] {
		v.addError("review of unknown pull request %s", key)
	}
	if (r.SubmittedAt == nil) != (r.State == "PENDING") {
		v.addError("review %d is %s, submitted at %v", r.ID, r.State, r.SubmittedAt)
	}
	v.requireUnique("review", fmt.Sprintf("%s/%d", r.Repo, r.ID))
}

// checkTeams checks that teams are trees, in which no team is secret
// (https://docs.github.com/organizations/organizing-members-into-teams/about-teams#team-visibility).
func (v *rowChecks) checkTeams(d *Dataset) {
	for _, t := range d.Teams {
		v.requireUnique("team", t.Slug)
		if t.Parent == "" {
			continue
		}
		parent := d.Team(t.Parent)
		if parent == nil {
			v.addError("team %q has the unknown parent %q", t.Slug, t.Parent)
			continue
		}
		if t.Secret || parent.Secret {
			v.addError("team %q is secret, or has a secret parent", t.Slug)
		}
		depth := 0
		for above := &t; above != nil && above.Parent != ""; depth++ {
			if depth > len(d.Teams) {
				v.addError("team %q is above itself", t.Slug)
				break
			}
			above = d.Team(above.Parent)
		}
	}
}

func (v *rowChecks) checkCounts(d *Dataset) {
	for _, c := range []struct {
		name      string
		want, got int
	}{
		{"repos", d.Org.Repos, len(d.Repos)},
		{"commits", d.Org.Commits, len(d.Commits)},
		{"pulls", d.Org.Pulls, len(d.Pulls)},
		{"reviews", d.Org.Reviews, len(d.Reviews)},
		{"issue_comments", d.Org.IssueComments, len(d.Comments)},
		{"issues", d.Org.Issues, len(d.Issues)},
	} {
		if c.want != 0 && c.want != c.got {
			v.addError("org.json counts %d %s, there are %d", c.want, c.name, c.got)
		}
	}
}
