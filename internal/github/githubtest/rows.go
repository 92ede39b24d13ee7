// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubtest

import (
	"io/fs"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest/dataset"
)

// The rows of a dataset under names of this package, so that a test needs this one only.
type (
	// Dataset is dataset.Dataset.
	Dataset = dataset.Dataset
	// Org is dataset.Org.
	Org = dataset.Org
	// Repo is dataset.Repo.
	Repo = dataset.Repo
	// RepoState is dataset.RepoState.
	RepoState = dataset.RepoState
	// RepoHistory is dataset.RepoHistory.
	RepoHistory = dataset.RepoHistory
	// RepoDetails is dataset.RepoDetails.
	RepoDetails = dataset.RepoDetails
	// Tag is dataset.Tag.
	Tag = dataset.Tag
	// Release is dataset.Release.
	Release = dataset.Release
	// Period is dataset.Period.
	Period = dataset.Period
	// Reset is dataset.Reset.
	Reset = dataset.Reset
	// Switch is dataset.Switch.
	Switch = dataset.Switch
	// Commit is dataset.Commit.
	Commit = dataset.Commit
	// CommitObject is dataset.CommitObject.
	CommitObject = dataset.CommitObject
	// CommitAuthor is dataset.CommitAuthor.
	CommitAuthor = dataset.CommitAuthor
	// Pull is dataset.Pull.
	Pull = dataset.Pull
	// ReviewRequest is dataset.ReviewRequest.
	ReviewRequest = dataset.ReviewRequest
	// Review is dataset.Review.
	Review = dataset.Review
	// Comment is dataset.Comment.
	Comment = dataset.Comment
	// Issue is dataset.Issue.
	Issue = dataset.Issue
	// Team is dataset.Team.
	Team = dataset.Team
	// User is dataset.User.
	User = dataset.User
	// Timeline is dataset.Timeline.
	Timeline = dataset.Timeline
)

// CodingAgentAddress is the address of the coding agent's commits.
const CodingAgentAddress = dataset.CodingAgentAddress

// CodingAgent returns the account of GitHub's coding agent; see dataset.CodingAgent.
func CodingAgent() User { return dataset.CodingAgent() }

// LoadDataset reads a dataset from files; see dataset.Load.
func LoadDataset(fsys fs.FS) (*Dataset, error) { return dataset.Load(fsys) }

// EndingAt returns a timeline that serves the end of the data at a time after start; see dataset.EndingAt.
func EndingAt(d *Dataset, before time.Duration, start time.Time, speed float64) Timeline {
	return dataset.EndingAt(d, before, start, speed)
}
