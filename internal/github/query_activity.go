// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package github

import "encoding/json"

// activityData is the data of the Activity query.
type activityData struct {
	ByID   *repositoryActivity `json:"byId"`
	ByName *repositoryActivity `json:"byName"`
}

// repository returns the repository, by whichever of the two it was requested; nil when it is missing.
func (d *activityData) repository() *repositoryActivity {
	if d.ByID != nil {
		return d.ByID
	}
	return d.ByName
}

// repositoryActivity is the repository in the data of the Activity and Activities queries. A stream that was not
// selected is nil, and so is one that is missing.
type repositoryActivity struct {
	DatabaseID int64 `json:"databaseId"`
	// HasPulls is the raw flag that pull requests are switched on; empty where the server's schema lacks it.
	HasPulls json.RawMessage `json:"hasPullRequestsEnabled"`
	// HasIssues is the raw flag that issues are switched on.
	HasIssues json.RawMessage `json:"hasIssuesEnabled"`
	Branch    *struct {
		Target *commitTarget `json:"target"`
	} `json:"defaultBranchRef"`
	Object *commitTarget `json:"object"`
	Pulls  *struct {
		PageInfo pageInfo    `json:"pageInfo"`
		Nodes    []*pullNode `json:"nodes"`
	} `json:"pullRequests"`
	Issues *struct {
		PageInfo pageInfo     `json:"pageInfo"`
		Nodes    []*issueNode `json:"nodes"`
	} `json:"issues"`
}

// activityVariables are the variables of the Activity query.
type activityVariables struct {
	repositoryVariables
	commitVariables
	pullVariables
	issueVariables
}

func (*activityVariables) document() document { return activityQuery }

// selectsOthers reports whether the query has a stream beside commits.
func (v *activityVariables) selectsOthers() bool { return v.Pulls || v.Issues }

// withPageSize returns the variables with the page sizes reduced to a percentage.
func (v *activityVariables) withPageSize(percent int) *activityVariables {
	sized := *v
	sized.CommitsFirst = v.CommitsFirst * percent / 100
	sized.PullsFirst = max(minPullsPageSize, v.PullsFirst*percent/100)
	sized.IssuesFirst = max(minIssuesPageSize, v.IssuesFirst*percent/100)
	return &sized
}

// repositoryVariables select the repository, by its id or by its name.
type repositoryVariables struct {
	ID     string `json:"id"`
	Owner  string `json:"owner"`
	Name   string `json:"name"`
	ByID   bool   `json:"byId"`
	ByName bool   `json:"byName"`
}

// prefetchedPage is the first page of a reading, from a query for several repositories.
type prefetchedPage struct {
	data *repositoryActivity
	errs []graphqlError
}

// consume returns the page, and drops it: requests live longer. It returns nil when it was consumed before.
func (p *prefetchedPage) consume() (*repositoryActivity, []graphqlError) {
	if p == nil {
		return nil, nil
	}
	data, errs := p.data, p.errs
	*p = prefetchedPage{}
	return data, errs
}

// memberVariables are the variables of one repository in the Activities query. Their names have its index as a suffix.
type memberVariables struct {
	ID string `json:"id"`
	memberCommits
	memberPulls
	memberIssues
}

// target returns the commit from which commits are listed: the requested one, or else the head of the default branch;
// nil for none.
func (a *repositoryActivity) target() *commitTarget {
	if a.Object != nil {
		return a.Object
	}
	if a.Branch != nil {
		return a.Branch.Target
	}
	return nil
}
