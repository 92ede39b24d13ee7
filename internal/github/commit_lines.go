package github

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
)

const (
	// maxLineFailures is how many questions for lines may fail in a row in one reading; the others are not asked.
	maxLineFailures = 5
	// reducedLinesGroupSize is how many commits are asked for their lines together when more of them were too much.
	reducedLinesGroupSize = 10
	// minMissedReadings is in how many readings in a row lines must have failed before commits are recorded without
	// theirs, which is for ever; missedSamples is that for the samples of a week.
	minMissedReadings     = 2
	minMissedLineReadings = 3
)

// linesTracker bounds what the lines of commits cost that GitHub cannot compute. It is safe for concurrent use.
type linesTracker struct {
	mu sync.Mutex
	// failuresInRow is how many questions failed in a row, answered and missed how many commits have their lines and have not.
	failuresInRow, read, missing int
	// cause is why the first was not.
	cause error
}

func (l *linesTracker) canRequest() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.failuresInRow < maxLineFailures
}

func (l *linesTracker) recordFailure() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.failuresInRow++
}

func (l *linesTracker) recordRead() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.failuresInRow = 0
	l.read++
}

func (l *linesTracker) recordMissing(cause error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.missing++
	if l.cause == nil {
		l.cause = cause
	}
}

// summary are how many commits have their lines, how many have not, and why the first has not.
func (l *linesTracker) summary() (answered, missed int, cause error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.read, l.missing, l.cause
}

var errLinesNotRequested = errors.New("its lines are not asked for after others of the repository failed")

// isOverload reports whether GitHub had no answer, as it has none for a commit that takes it too long. An answer that
// cannot be understood is something else: it may be that of another server.
func isOverload(err error) bool {
	unavailable, ok := errors.AsType[*UnavailableError](err)
	return ok && (unavailable.tooMuch || unavailable.Status == 0 || unavailable.Status >= http.StatusInternalServerError)
}

// readSingleLines asks REST for the lines of one commit. Where GitHub does not tell them, known is whether the commit is
// recorded without: after several readings it is, and it is counted.
func (r *reader) readSingleLines(ctx context.Context, sha string) (added, removed int, known bool, err error) {
	var cause error = &UnavailableError{Response: Response{Endpoint: commitEndpoint}, Err: errLinesNotRequested}
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
		r.client.settings.OnInvalidValue(fmt.Errorf("commit %.40s is recorded without lines: %w", printable(sha), cause))
		return 0, 0, true, nil
	}
	return 0, 0, false, nil
}

// acceptsMissingLines reports whether commits are recorded without lines that GitHub does not tell.
func (r *reader) acceptsMissingLines() bool {
	least := minMissedReadings
	if r.forWeeklyLines {
		least = minMissedLineReadings
	}
	return r.client.repos.missedLines(r.request.Repo.ID, r.client.settings.Now()) >= least
}

// checkLines is the error of commits that were left out because GitHub did not tell their lines. Where they are
// recorded without, it makes sure that GitHub answers at all: while no lines are known, the newest commit is asked for
// without them.
func (r *reader) checkLines(ctx context.Context) error {
	answered, missed, cause := r.lines.summary()
	switch {
	case missed == 0:
		return nil
	case !r.acceptsMissingLines():
		return cause
	case answered > 0:
		return nil
	}
	outside := withScope(ctx, scope{
		repo: r.request.Repo.ID, patience: r.client.newPatience(1, true), priority: r.request.Priority,
	})
	_, _, err := get(outside, r.client, restRequest{
		endpoint: commitsEndpoint, path: r.path("/commits"), query: values("per_page", "1"),
	}, commitRows)
	return err
}

// recordMissedLines remembers whether GitHub gave the lines of the reading's commits.
func (r *reader) recordMissedLines() {
	if answered, missed, _ := r.lines.summary(); answered+missed > 0 {
		r.client.repos.noteLines(r.request.Repo.ID, missed > 0, r.client.settings.Now())
	}
}

// fillLines fills in the lines of commits: of all together, of a few where that fails, and of single ones with REST.
// What cannot be had is for checkLines.
func (r *reader) fillLines(ctx context.Context, nodes []*commitNode) error {
	left := slices.DeleteFunc(slices.Clone(nodes), func(n *commitNode) bool {
		return n.isMerge() || (n.invalid != nil && !n.invalid.hasOnly("additions", "deletions"))
	})
	sizes := []int{len(left), reducedLinesGroupSize}
	if len(left) <= reducedLinesGroupSize || r.client.repos.areLinesApart(r.request.Repo.ID, r.client.settings.Now()) {
		sizes = []int{reducedLinesGroupSize}
	}
	var single []*commitNode
	for _, size := range sizes {
		var failed []*commitNode
		for group := range slices.Chunk(left, max(1, size)) {
			untold, err := r.readGroupLines(ctx, group)
			switch {
			case errors.As(err, new(*UnavailableError)) && ctx.Err() == nil:
				failed = append(failed, group...)
			case err != nil:
				return err
			}
			single = append(single, untold...)
		}
		left = failed
	}
	for _, n := range append(single, left...) {
		added, removed, known, err := r.readSingleLines(ctx, n.OID)
		if err != nil {
			return err
		}
		n.Additions, n.Deletions, n.linesUnavailable = &added, &removed, !known
	}
	return nil
}

// linesVariables are the variables of the Lines query.
type linesVariables struct {
	IDs []string `json:"ids"`
}

func (linesVariables) document() document { return linesQuery }

type linesData struct {
	Nodes []*linesNode `json:"nodes"`
}

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

// readGroupLines asks for the lines of some commits, and gives those that GraphQL does not tell.
func (r *reader) readGroupLines(ctx context.Context, group []*commitNode) ([]*commitNode, error) {
	if !r.lines.canRequest() {
		return nil, &UnavailableError{Response: Response{Endpoint: linesQuery.name}, Err: errLinesNotRequested}
	}
	ids := make([]string, 0, len(group))
	byOID := make(map[string]*commitNode, len(group))
	for _, n := range group {
		ids = append(ids, n.ID)
		byOID[n.OID] = n
	}
	data, _, err := ask[linesData](ctx, r.client, question{split: true}, linesVariables{IDs: ids})
	if err != nil {
		r.lines.recordFailure()
		return nil, err
	}
	for _, told := range data.Nodes {
		if told == nil || told.isInvalid || byOID[told.OID] == nil {
			continue
		}
		n := byOID[told.OID]
		n.Additions, n.Deletions = &told.Additions, &told.Deletions
		delete(byOID, told.OID)
		r.lines.recordRead()
	}
	untold := make([]*commitNode, 0, len(byOID))
	for _, n := range group {
		if byOID[n.OID] == n {
			untold = append(untold, n)
		}
	}
	return untold, nil
}

// addLines asks for the lines of each commit, one request each: no listing of REST has them. Commits whose lines
// GitHub does not tell are left out.
func (r *reader) addLines(ctx context.Context, commits []restCommit) ([]activity.Event, error) {
	events, known := make([]activity.Event, len(commits)), make([]bool, len(commits))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(detailConcurrency)
	for i, commit := range commits {
		events[i], known[i] = commit.event, true
		if commit.sha == "" {
			continue
		}
		group.Go(func() error {
			added, removed, told, err := r.readSingleLines(ctx, commit.sha)
			events[i].Measures, known[i] = activity.Lines(clampLines(added), clampLines(removed)), told
			return err
		})
	}
	err := group.Wait()
	some := make([]activity.Event, 0, len(events))
	for i := range events {
		if known[i] {
			some = append(some, events[i])
		}
	}
	return some, err
}

// requestCommitLines asks for the lines of one commit. GitHub cannot tell those of some, with 422, today or ever: they have none
// (https://docs.github.com/rest/commits/commits#get-a-commit).
func (r *reader) requestCommitLines(ctx context.Context, sha string) (added, removed int, err error) {
	row, told, err := get(ctx, r.client, restRequest{
		endpoint: commitEndpoint, path: r.path("/commits/" + sha), query: values("per_page", "1"),
		noRetry: r.acceptsMissingLines(),
	}, commitObject)
	if refused, ok := errors.AsType[*NotFoundError](err); ok && refused.Status == http.StatusUnprocessableEntity {
		r.client.settings.OnInvalidValue(err)
		return 0, 0, nil
	}
	if wrong := told.invalid[0]; err == nil && row.GetSHA() == sha && wrong["stats"] != nil {
		r.client.reportInvalidRow(commitEndpoint, wrong)
		return 0, 0, nil
	}
	if err == nil && (row.GetSHA() != sha || row.Stats == nil) {
		err = &UnavailableError{Response: Response{Endpoint: commitEndpoint}, Err: errors.New("an answer without the commit's lines")}
	}
	return row.GetStats().GetAdditions(), row.GetStats().GetDeletions(), err
}
