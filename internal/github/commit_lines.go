package github

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"

	gogithub "github.com/google/go-github/v66/github"
)

const (
	// mostLineFailures is how many questions for lines may fail in a row in one reading, mostLineFailuresAgain where they have
	// failed in an earlier one. The lines that are not asked for then are not known.
	mostLineFailures      = 5
	mostLineFailuresAgain = 2
	// linesGroup is how many commits are asked for their lines together when more of them were too much.
	linesGroup = 10
)

// linesPatience bounds what the lines of commits cost that GitHub cannot compute. It is safe for concurrent use.
type linesPatience struct {
	mu sync.Mutex
	// failed is how many questions failed in a row, answered and unknown how many commits were and were not told in all.
	failed, answered, unknown int
}

func (l *linesPatience) mayAsk(most int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.failed < most
}

func (l *linesPatience) fail() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.failed++
}

func (l *linesPatience) answer() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.failed = 0
	l.answered++
}

func (l *linesPatience) miss() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.unknown++
}

// noneAnswered reports whether lines were asked for and none were told.
func (l *linesPatience) noneAnswered() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.unknown > 0 && l.answered == 0
}

var errLinesNotAsked = errors.New("its lines are not asked for after others of the repository failed")

// linesFailedBefore reports whether an earlier reading could not get the repository's lines.
func (r *reader) linesFailedBefore() bool {
	return r.client.repos.haveLinesFailed(r.request.Repo.ID, r.client.settings.Now())
}

func (r *reader) mayAskLines() bool {
	most := mostLineFailures
	if r.linesFailedBefore() {
		most = mostLineFailuresAgain
	}
	return r.lines.mayAsk(most)
}

// missLines counts a commit whose lines GitHub cannot tell: it is recorded without.
func (r *reader) missLines(sha string, err error) {
	r.lines.miss()
	r.client.settings.OnInvalid(fmt.Errorf("commit %.40s is recorded without lines: %w", printable(sha), err))
}

// isOverload reports whether GitHub had no answer, as it has none for a commit that takes it too long. An answer that cannot be
// understood is something else: it may be that of another server.
func isOverload(err error) bool {
	unavailable, ok := errors.AsType[*UnavailableError](err)
	return ok && (unavailable.tooMuch || unavailable.Status == 0 || unavailable.Status >= http.StatusInternalServerError)
}

// singleLines asks REST for the lines of one commit. Those of a commit that GitHub cannot tell are none.
func (r *reader) singleLines(ctx context.Context, sha string) (added, removed int, err error) {
	if !r.mayAskLines() && !r.wantsLines {
		r.missLines(sha, errLinesNotAsked)
		return 0, 0, nil
	}
	added, removed, err = r.commitLines(ctx, sha)
	switch {
	case err != nil && r.wantsLines:
		return 0, 0, err
	case isOverload(err) && ctx.Err() == nil:
		r.lines.fail()
		r.missLines(sha, err)
		return 0, 0, nil
	case err == nil:
		r.lines.answer()
	}
	return added, removed, err
}

// checkLines makes sure that lines are missing because GitHub cannot tell them, and not because it answers nothing: a commit
// that is recorded without lines stays so. While no lines were told at all, the newest commit is asked for without them.
func (r *reader) checkLines(ctx context.Context) error {
	if !r.lines.noneAnswered() {
		return nil
	}
	now := r.client.settings.Now()
	outside := withRepository(ctx, r.request.Repo.ID, r.client.newPatience(1, true))
	_, _, err := get[[]*gogithub.RepositoryCommit](outside, r.client, commitsEndpoint, r.path("/commits"), values("per_page", "1"))
	r.client.repos.noteLines(r.request.Repo.ID, err == nil, now)
	return err
}

// linesOf fills in the lines of commits: of all together, of a few where that fails, and of single ones with REST. What cannot
// be had is counted, and has none.
func (r *reader) linesOf(ctx context.Context, nodes []*commitNode) error {
	left := slices.DeleteFunc(slices.Clone(nodes), (*commitNode).merge)
	sizes := []int{len(left), linesGroup}
	if len(left) <= linesGroup || r.linesFailedBefore() {
		sizes = []int{linesGroup}
	}
	var single []*commitNode
	for _, size := range sizes {
		var failed []*commitNode
		for group := range slices.Chunk(left, max(1, size)) {
			untold, err := r.groupLines(ctx, group)
			switch {
			case isOverload(err) && ctx.Err() == nil:
				failed = append(failed, group...)
			case err != nil:
				return err
			}
			single = append(single, untold...)
		}
		left = failed
	}
	for _, n := range append(single, left...) {
		added, removed, err := r.singleLines(ctx, n.OID)
		if err != nil {
			return err
		}
		n.Additions, n.Deletions = &added, &removed
	}
	return r.checkLines(ctx)
}

type linesData struct {
	Nodes []*linesNode `json:"nodes"`
}

type linesNode struct {
	OID       string `json:"oid"`
	Additions int    `json:"additions"`
	Deletions int    `json:"deletions"`
}

// groupLines asks for the lines of some commits, and gives those that GraphQL does not tell.
func (r *reader) groupLines(ctx context.Context, group []*commitNode) ([]*commitNode, error) {
	if !r.mayAskLines() {
		return nil, &UnavailableError{Answer: Answer{Endpoint: linesQuery.name}, Err: errLinesNotAsked}
	}
	ids := make([]string, 0, len(group))
	byOID := make(map[string]*commitNode, len(group))
	for _, n := range group {
		ids = append(ids, n.ID)
		byOID[n.OID] = n
	}
	data, _, err := ask[linesData](ctx, r.client, linesQuery, question{split: true}, map[string]any{"ids": ids})
	if err != nil {
		r.lines.fail()
		return nil, err
	}
	for _, told := range data.Nodes {
		if told == nil || byOID[told.OID] == nil {
			continue
		}
		n := byOID[told.OID]
		n.Additions, n.Deletions = &told.Additions, &told.Deletions
		delete(byOID, told.OID)
		r.lines.answer()
	}
	untold := make([]*commitNode, 0, len(byOID))
	for _, n := range group {
		if byOID[n.OID] == n {
			untold = append(untold, n)
		}
	}
	return untold, nil
}
