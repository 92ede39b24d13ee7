// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package emit

import (
	"github.com/seed-358c4d9d/githubexporter/internal/ledger/ledgerview"
	"github.com/seed-358c4d9d/githubexporter/receiver/githubexporter/internal/metadata"
)

// The labels of open pull requests.
var (
	readyPulls = newRepoLabels("state", metadata.AttributePullStateReady.String())
	draftPulls = newRepoLabels("state", metadata.AttributePullStateDraft.String())
)

// addRepoStocks adds what is open in a repository, as far as it is known.
func addRepoStocks(s *repoSink, series repoSeries, stocks *ledgerview.RepoStocks) {
	if c := stocks.Pulls; c != nil {
		s.addGauge(repoOpenPulls, repoSeries{series.repo, readyPulls}, uint64(c.Ready)) //nolint:gosec // a count
		s.addGauge(repoOpenPulls, repoSeries{series.repo, draftPulls}, uint64(c.Draft)) //nolint:gosec // a count
		s.addGauge(repoUnreviewed, series, uint64(c.Unreviewed))                        //nolint:gosec // a count
		s.addGauge(repoReviewRequests, series, uint64(c.Awaited))                       //nolint:gosec // a count
		s.addTime(repoOldestPull, series, c.Oldest)
	}
	if c := stocks.Issues; c != nil {
		s.addGauge(repoOpenIssues, series, uint64(c.Open)) //nolint:gosec // a count
		s.addTime(repoOldestIssue, series, c.Oldest)
	}
}
