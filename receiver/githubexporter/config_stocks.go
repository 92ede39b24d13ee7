// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubexporter

// showsStocks reports whether one of the metrics of what is open is enabled. Without them nothing is requested for
// them.
func (c *Config) showsStocks() bool {
	m := &c.Metrics
	return m.GhRepoOpenPullRequests.Enabled || m.GhRepoOldestOpenPullRequestUnixtime.Enabled ||
		m.GhRepoPullRequestsUnreviewed.Enabled || m.GhRepoReviewRequests.Enabled ||
		m.GhRepoOpenIssues.Enabled || m.GhRepoOldestOpenIssueUnixtime.Enabled
}
