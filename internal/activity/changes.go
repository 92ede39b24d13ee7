// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package activity

import "time"

// ChangeState is the state of a change, as the semantic conventions call it. Its values are stored.
type ChangeState uint8

// The states of changes.
const (
	ChangeOpen ChangeState = iota
	// ChangeWIP is the state of a draft.
	ChangeWIP
	ChangeClosed
	ChangeMerged
)

// NumChangeStates is the number of states.
const NumChangeStates = 4

// String returns the name of the state, as the semantic conventions have it.
func (s ChangeState) String() string {
	return [NumChangeStates]string{"open", "wip", "closed", "merged"}[s]
}

// Changes are the pull requests of a repository, as the metrics of the semantic conventions for version control
// systems (vcs.*) describe them.
type Changes struct {
	// Count is the number of pull requests in each state.
	Count [NumChangeStates]Number
	// List are the newest open and merged ones, in the order of their numbers.
	List []VCSChange
	// IsCut says that there are more than List has.
	IsCut bool
}

// VCSChange is a pull request with its branches.
type VCSChange struct {
	Number int64
	State  ChangeState
	// Head and Base are the names of the branches. IsFork says that Head is one of another repository.
	Head, Base string
	IsFork     bool
	Created    time.Time
	// Since is the time since which the pull request is in its state; zero where it was not read.
	Since time.Time
	// Approved is the time of the first approval; zero for none, or where it was not read.
	Approved time.Time
	// Added and Removed are lines.
	Added, Removed Number
}
