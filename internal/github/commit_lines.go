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
	// mostLineFailures is how many questions for lines may fail in a row in one reading; the others are not asked.
	mostLineFailures = 5
	// linesGroup is how many commits are asked for their lines together when more of them were too much.
	linesGroup = 10
	// missedReadings is in how many readings in a row lines must have failed before commits are recorded without
	// theirs, which is for ever; missedSamples is that for the samples of a week.
	missedReadings = 2
	missedSamples  = 3
)

// linesPatience bounds what the lines of commits cost that GitHub cannot compute. It is safe for concurrent use.
type linesPatience struct {
	mu sync.Mutex
	// failed is how many questions failed in a row, answered and missed how many commits have their lines and have not.
	failed, answered, missed int
	// cause is why the first was not.
	cause error
}

func (l *linesPatience) mayAsk() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.failed < mostLineFailures
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

func (l *linesPatience) miss(cause error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.missed++
	if l.cause == nil {
		l.cause = cause
	}
}

// sums are how many commits have their lines, how many have not, and why the first has not.
func (l *linesPatience) sums() (answered, missed int, cause error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.answered, l.missed, l.cause
}

var errLinesNotAsked = errors.New("its lines are not asked for after others of the repository failed")

// isOverload reports whether GitHub had no answer, as it has none for a commit that takes it too long. An answer that
// cannot be understood is something else: it may be that of another server.
func isOverload(err error) bool {
	unavailable, ok := errors.AsType[*UnavailableError](err)
	return ok && (unavailable.tooMuch || unavailable.Status == 0 || unavailable.Status >= http.StatusInternalServerError)
}

// singleLines asks REST for the lines of one commit. Where GitHub does not tell them, known is whether the commit is
// recorded without: after several readings it is, and it is counted.
func (r *reader) singleLines(ctx context.Context, sha string) (added, removed int, known bool, err error) {
	var cause error = &UnavailableError{Response: Response{Endpoint: commitEndpoint}, Err: errLinesNotAsked}
	if r.lines.mayAsk() {
		added, removed, err = r.commitLines(ctx, sha)
		if err == nil {
			r.lines.answer()
			return added, removed, true, nil
		}
		if !isOverload(err) || ctx.Err() != nil {
			return 0, 0, false, err
		}
		r.lines.fail()
		cause = err
	}
	r.lines.miss(cause)
	if r.acceptsMissingLines() {
		r.client.settings.OnInvalidValue(fmt.Errorf("commit %.40s is recorded without lines: %w", printable(sha), cause))
		return 0, 0, true, nil
	}
	return 0, 0, false, nil
}

// acceptsMissingLines reports whether commits are recorded without lines that GitHub does not tell.
func (r *reader) acceptsMissingLines() bool {
	least := missedReadings
	if r.samples {
		least = missedSamples
	}
	return r.client.repos.missedLines(r.request.Repo.ID, r.client.settings.Now()) >= least
}

// checkLines is the error of commits that were left out because GitHub did not tell their lines. Where they are
// recorded without, it makes sure that GitHub answers at all: while no lines are known, the newest commit is asked for
// without them.
func (r *reader) checkLines(ctx context.Context) error {
	answered, missed, cause := r.lines.sums()
	switch {
	case missed == 0:
		return nil
	case !r.acceptsMissingLines():
		return cause
	case answered > 0:
		return nil
	}
	outside := withRepository(ctx, r.request.Repo.ID, r.client.newPatience(1, true))
	_, _, err := get[[]*gogithub.RepositoryCommit](
		outside, r.client, commitsEndpoint, r.path("/commits"), values("per_page", "1"))
	return err
}

// noteLines remembers whether GitHub gave the lines of the reading's commits.
func (r *reader) noteLines() {
	if answered, missed, _ := r.lines.sums(); answered+missed > 0 {
		r.client.repos.noteLines(r.request.Repo.ID, missed > 0, r.client.settings.Now())
	}
}

// linesOf fills in the lines of commits: of all together, of a few where that fails, and of single ones with REST.
// What cannot be had is for checkLines.
func (r *reader) linesOf(ctx context.Context, nodes []*commitNode) error {
	left := slices.DeleteFunc(slices.Clone(nodes), func(n *commitNode) bool {
		return n.merge() || (n.wrong != nil && !n.wrong.only("additions", "deletions"))
	})
	sizes := []int{len(left), linesGroup}
	if len(left) <= linesGroup || r.client.repos.areLinesApart(r.request.Repo.ID, r.client.settings.Now()) {
		sizes = []int{linesGroup}
	}
	var single []*commitNode
	for _, size := range sizes {
		var failed []*commitNode
		for group := range slices.Chunk(left, max(1, size)) {
			untold, err := r.groupLines(ctx, group)
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
		added, removed, known, err := r.singleLines(ctx, n.OID)
		if err != nil {
			return err
		}
		n.Additions, n.Deletions, n.withoutLines = &added, &removed, !known
	}
	return nil
}

type linesData struct {
	Nodes []*linesNode `json:"nodes"`
}

type linesNode struct {
	OID       string `json:"oid"`
	Additions int    `json:"additions"`
	Deletions int    `json:"deletions"`

	// wrong says that a value cannot be decoded.
	wrong bool
}

// UnmarshalJSON implements json.Unmarshaler.
func (n *linesNode) UnmarshalJSON(raw []byte) error {
	type plain linesNode
	wrong, err := decodeRow(raw, (*plain)(n))
	n.wrong = wrong != nil
	return err
}

// groupLines asks for the lines of some commits, and gives those that GraphQL does not tell.
func (r *reader) groupLines(ctx context.Context, group []*commitNode) ([]*commitNode, error) {
	if !r.lines.mayAsk() {
		return nil, &UnavailableError{Response: Response{Endpoint: linesQuery.name}, Err: errLinesNotAsked}
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
		if told == nil || told.wrong || byOID[told.OID] == nil {
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
