// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package activity

// Scope is a window of some streams of one repository: what a backfill job and a fill are about.
type Scope struct {
	// RepoID is GitHub's id of the repository; 0 when only its name Repo is known.
	RepoID int64
	// Repo is the name without the owner.
	Repo    string
	Streams Streams
	Window  Window
}
