// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubtest

import (
	"io/fs"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest/dataset"
)

// The data of a Server, as package dataset describes it: a test needs this package only.
type (
	Dataset  = dataset.Dataset
	Org      = dataset.Org
	Repo     = dataset.Repo
	Period   = dataset.Period
	Reset    = dataset.Reset
	Switch   = dataset.Switch
	Commit   = dataset.Commit
	Pull     = dataset.Pull
	Review   = dataset.Review
	Comment  = dataset.Comment
	Issue    = dataset.Issue
	User     = dataset.User
	Timeline = dataset.Timeline
)

// The parts of a Repo and of a Commit that few tests set.
type (
	RepoState    = dataset.RepoState
	RepoHistory  = dataset.RepoHistory
	CommitAuthor = dataset.CommitAuthor
	CommitObject = dataset.CommitObject
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
