// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package activity

import "time"

// Branches are the branches of a repository, compared with its default branch, the trunk, as the metrics of the
// semantic conventions for version control systems (vcs.*) describe them.
type Branches struct {
	// Trunk is the name of the default branch, and Head its newest commit; empty in a repository without commits.
	Trunk, Head string
	// List are the first ones by name, without the trunk.
	List []VCSBranch
	// IsCut says that there are more than List has.
	IsCut bool
}

// VCSBranch is a branch.
type VCSBranch struct {
	// Head is the newest commit.
	Name, Head string
	// IsCurrent says that the numbers are those of Head and of the trunk's head. Others are of an earlier reading.
	IsCurrent bool
	// Ahead is the number of commits that the branch has and the trunk has not, Behind that of those that the trunk
	// alone has. Both are unknown until they were read, and where the two have no commit in common.
	Ahead, Behind Number
	// First is the time of the oldest commit that the trunk does not have; zero for none.
	First time.Time
}
