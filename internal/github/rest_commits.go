// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package github

import (
	"context"
	"encoding/json"
	"errors"

	gogithub "github.com/google/go-github/v66/github"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/github/transport"
)

// commitFields are the fields of a commit that are used.
var commitFields = []string{"sha", "commit", "author", "parents", "stats"}

// detailConcurrency bounds the requests for single commits in flight.
const detailConcurrency = 4

// comparisonStatuses are how one commit may relate to another.
var comparisonStatuses = []string{"ahead", "behind", "diverged", "identical"}

const (
	commitsEndpoint = "/repos/{owner}/{repo}/commits"
	commitEndpoint  = "/repos/{owner}/{repo}/commits/{ref}"
	compareEndpoint = "/repos/{owner}/{repo}/compare/{basehead}"
)

type (
	// commitRowList is a page of a listing of commits; a row that cannot be decoded keeps its index.
	commitRowList = []*gogithub.RepositoryCommit
	// fetchCommits requests a page of commits by its number.
	fetchCommits func(ctx context.Context, number string) (commitRowList, restPage, error)
)

// commitRows is the format of a page of commits, commitObject that of a commit with its lines, comparisonFormat that of
// what one commit has and another has not.
var (
	commitRows       = listFormat(isCompleteCommit, commitFields...)
	commitObject     = objectFormat(hasLines, commitFields...)
	comparisonFormat = format[*gogithub.CommitsComparison]{decodeFields: decodeComparison, check: checkComparison}
)

// isCompleteCommit reports whether a row has what every commit has.
func isCompleteCommit(r *gogithub.RepositoryCommit, wrong fieldErrors) bool {
	committer := r.GetCommit().GetCommitter()
	author := r.Author == nil || (r.Author.ID == nil) == (r.Author.Login == nil) // {} is one without an account
	return wrong.isPresent(r.SHA != nil, "sha") && wrong.isPresent(r.Parents != nil, "parents") && author &&
		wrong.isPresent(committer != nil && committer.Date != nil, "commit")
}

// hasLines reports whether a commit has its lines, or lines that cannot be decoded.
func hasLines(r *gogithub.RepositoryCommit, wrong fieldErrors) bool {
	hasStats := r.Stats != nil && r.Stats.Additions != nil && r.Stats.Deletions != nil
	return r.SHA != nil && wrong.isPresent(hasStats, "stats")
}

// checkComparison refuses a comparison that lacks its status, its commits, or what every commit has.
func checkComparison(c *gogithub.CommitsComparison, info restPage) error {
	if c.Status == nil || c.Commits == nil {
		return errIncomplete
	}
	return checkRows(c.Commits, info, isCompleteCommit)
}

// decodeComparison decodes the commits of a comparison row by row, and of the rest what is used.
func decodeComparison(body []byte, into **gogithub.CommitsComparison) (map[int]fieldErrors, error) {
	var parts struct {
		Status  *string         `json:"status"`
		Total   json.RawMessage `json:"total_commits"`
		Commits json.RawMessage `json:"commits"`
	}
	if err := json.Unmarshal(body, &parts); err != nil {
		return nil, err
	}
	found := &gogithub.CommitsComparison{Status: parts.Status}
	if err := json.Unmarshal(parts.Total, &found.TotalCommits); err != nil {
		found.TotalCommits = nil // unknown: then no commit counts as the newest
	}
	invalid, err := decodeRows(parts.Commits, &found.Commits, commitFields)
	*into = found
	return invalid, err
}

// isIncomparable reports whether one of two commits does not exist.
func isIncomparable(err error) bool {
	gone, ok := errors.AsType[*transport.NotFoundError](err)
	return ok && gone.Endpoint == compareEndpoint
}

// restCommit is the used part of a row: the whole row is a hundred times as large.
type restCommit struct {
	event activity.Event
	sha   string // whose lines are requested; empty when they are not
}

// toRestCommits converts rows. It drops and reports those that cannot be decoded.
func (r *reader) toRestCommits(rows commitRowList, invalid map[int]fieldErrors) []restCommit {
	commits := make([]restCommit, 0, len(rows))
	for i, row := range rows {
		if invalid[i] != nil {
			r.client.reportInvalidRow(commitsEndpoint, invalid[i])
			continue
		}
		id, err := activity.CommitID(row.GetSHA())
		if err != nil {
			r.client.transport.ReportInvalidValue(err)
			continue
		}
		at := row.GetCommit().GetCommitter().GetDate().Time
		commit := restCommit{event: r.newEvent(activity.KindCommit, id, restAuthor(row), at)}
		if len(row.Parents) <= 1 && !r.request.SkipLines && !at.Before(r.request.Since[activity.StreamCommits]) {
			commit.sha = row.GetSHA() // no merge, its lines are wanted, and it is not too old
		}
		commits = append(commits, commit)
	}
	return commits
}
