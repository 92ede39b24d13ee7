// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package activity

import "time"

// PullStock are the open pull requests of a repository, as a reading has found them.
type PullStock struct {
	// SeenAt is a time before the reading: what was updated later may be missing. Zero stands for no reading.
	SeenAt time.Time
	// Updated is the update time of the newest pull request, open or not, that was known then.
	Updated time.Time
	// Pulls are the open pull requests, in the order of their numbers.
	Pulls []OpenPull
	// IsTooLarge says that there are more than a stock holds: then Pulls is empty.
	IsTooLarge bool
}

// OpenPull is an open pull request.
type OpenPull struct {
	Number           int64
	Created, Updated time.Time
	IsDraft          bool
	// IsReviewed says that an account other than the author has submitted a review, whatever became of it.
	IsReviewed bool
	// Awaited is how many users and teams are asked for a review and have not submitted one.
	Awaited int
}

// IssueStock is the number of open issues of a repository, as a reading has found them.
type IssueStock struct {
	// SeenAt is a time before the reading. Zero stands for no reading.
	SeenAt time.Time
	// Updated is the update time of the newest issue, open or not, that was known then.
	Updated time.Time
	Open    int
	// Oldest is the creation of the oldest one; zero for none.
	Oldest time.Time
	// IsTooLarge says that there are more than could be counted: then Open and Oldest are zero.
	IsTooLarge bool
}
