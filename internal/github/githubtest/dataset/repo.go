// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package dataset

import (
	"hash/fnv"
	"slices"
	"strings"
	"time"
)

// Repo is a repository. GitHub's pushed_at is the time of the newest visible commit; PushedAt is used for a repository
// that has none.
type Repo struct {
	Name          string    `json:"name"`
	DefaultBranch string    `json:"default_branch"`
	Private       bool      `json:"private"`
	Archived      bool      `json:"archived"`
	Fork          bool      `json:"fork"`
	CreatedAt     time.Time `json:"created_at"`
	PushedAt      time.Time `json:"pushed_at,omitzero"`
	// UpdatedAt is the last change of the repository's own settings; zero means CreatedAt.
	UpdatedAt time.Time `json:"updated_at,omitzero"`
	// ID is GitHub's id; for 0, AssignRepoIDs derives one from the organization and the first name.
	ID int64 `json:"id,omitempty"`
	// Visibility is "public", "private" or "internal"; empty means what Private says.
	Visibility string `json:"visibility,omitempty"`

	RepoState
	RepoHistory
	RepoDetails
}

// RepoState has the rare states of a repository, which do not change while the data is served.
type RepoState struct {
	Disabled bool `json:"disabled,omitempty"`
	Locked   bool `json:"locked,omitempty"`
	// Empty hides all commits.
	Empty bool `json:"empty,omitempty"`
	// Blocked makes every request for the repository fail with 451.
	Blocked bool `json:"blocked,omitempty"`
}

// RepoHistory has what happens to a repository besides its commits.
type RepoHistory struct {
	// RenamedFrom has the former names, the oldest first; requests for them are redirected.
	RenamedFrom []string `json:"renamed_from,omitempty"`
	// TransferredTo is the login of the present owner; empty means that the organization still owns the repository.
	TransferredTo string `json:"transferred_to,omitempty"`
	// Pushes are the times of pushes without a commit of the data: to other branches, of tags.
	Pushes []time.Time `json:"pushes,omitempty"`
	// Resets move a branch to an existing commit, as a force push does, or delete it.
	Resets []Reset `json:"resets,omitempty"`
	// Switches make another branch the default one. A commit without a branch still goes to DefaultBranch.
	Switches []Switch `json:"switches,omitempty"`
	// PullsOff and IssuesOff are when the feature is disabled: then /pulls is 404, and so is /issues/comments while
	// both are disabled.
	PullsOff  []Period `json:"pulls_off,omitempty"`
	IssuesOff []Period `json:"issues_off,omitempty"`
	// Forbidden is when no credential may read the repository, as without the authorization for single sign-on: REST
	// answers 403 and leaves it out of listings, with X-GitHub-SSO in both cases; GraphQL has null and FORBIDDEN.
	Forbidden []Period `json:"forbidden,omitempty"`
}

// Period is a half-open interval of data time, from Start to before End; a zero End means for ever.
type Period struct {
	Start time.Time `json:"from"`
	End   time.Time `json:"until,omitzero"`
}

// Reset is a force push that moves a branch to an existing commit.
type Reset struct {
	// Branch is empty for the default branch.
	Branch string `json:"branch,omitempty"`
	// SHA is empty for a push that deletes the branch.
	SHA string    `json:"sha"`
	At  time.Time `json:"at"`
}

// Switch makes a branch the default one from a time on. It has no effect before the branch exists.
type Switch struct {
	Branch string    `json:"branch"`
	At     time.Time `json:"at"`
}

// AssignRepoIDs sets the id of each repository that has none. A later Rename keeps it.
func (d *Dataset) AssignRepoIDs() {
	for i := range d.Repos {
		r := &d.Repos[i]
		if r.ID == 0 {
			r.ID = NumericID("repo", d.Org.Login+"/"+slices.Concat(r.RenamedFrom, []string{r.Name})[0])
		}
	}
}

// NumericID returns an id for a thing of a kind by its name, in any case: always the same one, positive and of 31 bits,
// because GraphQL's databaseId is a signed 32-bit number.
func NumericID(kind, name string) int64 {
	h := fnv.New32a()
	_, _ = h.Write([]byte(kind + ":" + strings.ToLower(name)))
	return int64(h.Sum32()&0x7ffffffe) + 1
}
