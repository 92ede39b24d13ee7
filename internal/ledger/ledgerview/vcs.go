// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package ledgerview

import (
	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
)

// RepositoryVCS is what the metrics vcs.* show of a repository besides its facts. It must not be changed.
type RepositoryVCS struct {
	// Changes are nil where they were not read, or where pull requests are disabled.
	Changes *activity.Changes
	// Contributors is the number of contributors.
	Contributors activity.Number
	// Branches are nil where they were not read. Their heads are not kept.
	Branches *activity.Branches
}

// applyVCS applies a new observation. Data that this version does not know leave what was known.
func (v *View) applyVCS(entry *ledger.Entry) {
	known := v.facts.vcs[entry.Repo]
	switch ledger.VCSPart(entry.Sub) {
	case ledger.VCSChanges:
		if _, changes, err := ledger.DecodeVCSChanges(entry.Data); err == nil {
			known.Changes = &changes
		}
	case ledger.VCSContributors:
		if _, n, err := ledger.DecodeVCSContributors(entry.Data); err == nil {
			known.Contributors = n
		}
	case ledger.VCSBranches:
		if _, branches, err := ledger.DecodeVCSBranches(entry.Data); err == nil {
			for i := range branches.List {
				branches.List[i].Head = ""
			}
			known.Branches = &branches
		}
	default:
		return // of a later version
	}
	v.facts.vcs[entry.Repo] = known
}

// vcsOf returns what the metrics vcs.* show of a repository.
func (v *View) vcsOf(id int64) RepositoryVCS {
	known := v.facts.vcs[id]
	if v.cov.Repos[id].Signals.Disabled.Has(activity.StreamPulls) {
		known.Changes = nil
	}
	return known
}
