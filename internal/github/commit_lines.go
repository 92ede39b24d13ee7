// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package github

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/github/transport"
)

const (
	// reducedLinesGroupSize is the number of commits in a request for lines after a larger one was too much.
	reducedLinesGroupSize = 10
	// minMissedReadings is in how many readings in a row lines must be missing before commits are recorded without
	// them, which is final; minMissedLineReadings is that of the weekly lines.
	minMissedReadings     = 2
	minMissedLineReadings = 3
)

var errLinesNotRequested = errors.New("its lines are not requested after other requests of the repository failed")

// isOverload reports whether GitHub did not respond, as for a commit that takes it too long. A response that cannot
// be decoded is another error: another server may have sent it.
func isOverload(err error) bool {
	unavailable, ok := errors.AsType[*transport.UnavailableError](err)
	return ok &&
		(unavailable.TooLarge || unavailable.Status == 0 || unavailable.Status >= http.StatusInternalServerError)
}

// readSingleLines requests the lines of one commit with REST. Where GitHub does not return them, isKnown reports
// whether the commit is recorded without lines: after several readings it is, which is reported as an invalid value.
func (r *reader) readSingleLines(ctx context.Context, sha string) (added, removed int, isKnown bool, err error) {
	var cause error = &transport.UnavailableError{
		Response: transport.Response{Endpoint: commitEndpoint}, Err: errLinesNotRequested,
	}
	if r.lines.canRequest() {
		added, removed, err = r.requestCommitLines(ctx, sha)
		if err == nil {
			r.lines.recordRead()
			return added, removed, true, nil
		}
		if !isOverload(err) || ctx.Err() != nil {
			return 0, 0, false, err
		}
		r.lines.recordFailure()
		cause = err
	}
	r.lines.recordMissing(cause)
	if r.acceptsMissingLines() {
		err := fmt.Errorf("commit %.40s is recorded without lines: %w", transport.Printable(sha), cause)
		r.client.transport.ReportInvalidValue(err)
		return 0, 0, true, nil
	}
	return 0, 0, false, nil
}

// acceptsMissingLines reports whether commits are recorded without lines that GitHub does not return.
func (r *reader) acceptsMissingLines() bool {
	least := minMissedReadings
	if r.forWeeklyLines {
		least = minMissedLineReadings
	}
	return r.client.state.repos.missedLines(r.request.Repo.ID, r.client.transport.Now()) >= least
}

// checkLines returns the error of commits that were left out because GitHub did not return their lines. Where commits
// are recorded without lines and none has any, it makes sure that GitHub responds at all: it requests the newest
// commit without its lines.
func (r *reader) checkLines(ctx context.Context) error {
	read, missing, cause := r.lines.summary()
	switch {
	case missing == 0:
		return nil
	case !r.acceptsMissingLines():
		return cause
	case read > 0:
		return nil
	}
	outside := transport.WithScope(ctx, transport.Scope{
		RepoID: r.request.Repo.ID, Patience: r.client.transport.NewPatience(1, true), Priority: r.request.Priority,
	})
	_, _, err := requestREST(outside, r.client, restRequest{
		endpoint: commitsEndpoint, path: r.path("/commits"), query: queryValues("per_page", "1"),
	}, commitRows)
	return err
}

// recordMissedLines records whether GitHub returned the lines of the reading's commits.
func (r *reader) recordMissedLines() {
	if read, missing, _ := r.lines.summary(); read+missing > 0 {
		r.client.state.repos.recordLines(r.request.Repo.ID, missing > 0, r.client.transport.Now())
	}
}

// fillLines sets the lines of commits: of all with one request, of smaller groups where that fails, and of single
// commits with REST. checkLines handles what is missing then.
func (r *reader) fillLines(ctx context.Context, nodes []*commitNode) error {
	left := slices.DeleteFunc(slices.Clone(nodes), func(n *commitNode) bool {
		return n.isMerge() || (n.invalid != nil && !n.invalid.hasOnly("additions", "deletions"))
	})
	sizes := []int{len(left), reducedLinesGroupSize}
	if len(left) <= reducedLinesGroupSize || r.client.state.repos.areLinesApart(r.request.Repo.ID,
		r.client.transport.Now()) {
		sizes = []int{reducedLinesGroupSize}
	}
	var single []*commitNode
	for _, size := range sizes {
		var failed []*commitNode
		for group := range slices.Chunk(left, max(1, size)) {
			unavailable, err := r.readGroupLines(ctx, group)
			switch {
			case errors.As(err, new(*transport.UnavailableError)) && ctx.Err() == nil:
				failed = append(failed, group...)
			case err != nil:
				return err
			}
			single = append(single, unavailable...)
		}
		left = failed
	}
	for _, n := range append(single, left...) {
		added, removed, isKnown, err := r.readSingleLines(ctx, n.OID)
		if err != nil {
			return err
		}
		n.Additions, n.Deletions, n.linesUnavailable = &added, &removed, !isKnown
	}
	return nil
}

// linesVariables are the variables of the Lines query.
type linesVariables struct {
	IDs []string `json:"ids"`
}

func (linesVariables) document() document { return linesQuery }

// linesData is the data of the Lines query.
type linesData struct {
	Nodes []*linesNode `json:"nodes"`
}

// linesNode is a commit with its lines.
type linesNode struct {
	OID       string `json:"oid"`
	Additions int    `json:"additions"`
	Deletions int    `json:"deletions"`

	// isInvalid says that a value cannot be decoded.
	isInvalid bool
}

// UnmarshalJSON implements json.Unmarshaler.
func (n *linesNode) UnmarshalJSON(raw []byte) error {
	type plain linesNode
	wrong, err := decodeRow(raw, (*plain)(n))
	n.isInvalid = wrong != nil
	return err
}

// readGroupLines requests the lines of some commits, and returns the commits whose lines GraphQL does not return.
func (r *reader) readGroupLines(ctx context.Context, group []*commitNode) ([]*commitNode, error) {
	if !r.lines.canRequest() {
		return nil, &transport.UnavailableError{
			Response: transport.Response{Endpoint: linesQuery.name}, Err: errLinesNotRequested,
		}
	}
	ids := make([]string, 0, len(group))
	byOID := make(map[string]*commitNode, len(group))
	for _, n := range group {
		ids = append(ids, n.ID)
		byOID[n.OID] = n
	}
	data, _, err := runQuery[linesData](ctx, r.client, queryOptions{isSplit: true}, linesVariables{IDs: ids})
	if err != nil {
		r.lines.recordFailure()
		return nil, err
	}
	for _, found := range data.Nodes {
		if found == nil || found.isInvalid || byOID[found.OID] == nil {
			continue
		}
		n := byOID[found.OID]
		n.Additions, n.Deletions = &found.Additions, &found.Deletions
		delete(byOID, found.OID)
		r.lines.recordRead()
	}
	unavailable := make([]*commitNode, 0, len(byOID))
	for _, n := range group {
		if byOID[n.OID] == n {
			unavailable = append(unavailable, n)
		}
	}
	return unavailable, nil
}

// addLines requests the lines of each commit, one request each: no listing of REST has them. It drops commits whose
// lines GitHub does not return.
func (r *reader) addLines(ctx context.Context, commits []restCommit) ([]activity.Event, error) {
	events, hasLines := make([]activity.Event, len(commits)), make([]bool, len(commits))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(detailConcurrency)
	for i, commit := range commits {
		events[i], hasLines[i] = commit.event, true
		if commit.sha == "" {
			continue
		}
		group.Go(func() error {
			added, removed, isKnown, err := r.readSingleLines(ctx, commit.sha)
			events[i].Measures, hasLines[i] = activity.Lines(clampLines(added), clampLines(removed)), isKnown
			return err
		})
	}
	err := group.Wait()
	some := make([]activity.Event, 0, len(events))
	for i := range events {
		if hasLines[i] {
			some = append(some, events[i])
		}
	}
	return some, err
}

// requestCommitLines requests the lines of one commit. GitHub refuses those of some, with 422, now or always: they
// count as 0 (https://docs.github.com/rest/commits/commits#get-a-commit).
func (r *reader) requestCommitLines(ctx context.Context, sha string) (added, removed int, err error) {
	row, info, err := requestREST(ctx, r.client, restRequest{
		endpoint: commitEndpoint, path: r.path("/commits/" + sha), query: queryValues("per_page", "1"),
		noRetry: r.acceptsMissingLines(),
	}, commitObject)
	refused, ok := errors.AsType[*transport.NotFoundError](err)
	if ok && refused.Status == http.StatusUnprocessableEntity {
		r.client.transport.ReportInvalidValue(err)
		return 0, 0, nil
	}
	if wrong := info.invalid[0]; err == nil && row.GetSHA() == sha && wrong["stats"] != nil {
		r.client.reportInvalidRow(commitEndpoint, wrong)
		return 0, 0, nil
	}
	if err == nil && (row.GetSHA() != sha || row.Stats == nil) {
		err = malformed(commitEndpoint, "a response without the commit's lines")
	}
	return row.GetStats().GetAdditions(), row.GetStats().GetDeletions(), err
}
