// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package collect

import (
	"sync"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/github"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
)

// stockStreams are the streams that have a stock: what is open.
var stockStreams = [...]activity.Stream{activity.StreamPulls, activity.StreamIssues}

// The delays of a stock that could not be read.
const (
	firstStockDelay = time.Minute
	maxStockDelay   = time.Hour
)

// stocks is what the passes of a leader know of the stocks that the store has, so that only those are read that may
// have changed. It is safe for concurrent use.
type stocks struct {
	mu sync.Mutex
	// edge and basis are those of the coverage with which states agrees. Passes of another leader move the edge.
	edge     time.Time
	basis    string
	isLoaded bool
	isRead   bool // stocks are read at all
	states   map[RepoStream]*stockState
	// candidates are the repositories of the present pass with a stock that is due.
	candidates map[int64]activity.Repository
	// outdated are entries (EntryStockDue) that are not committed yet.
	outdated []ledger.Entry
}

// stockState is the state of one stock.
type stockState struct {
	// seen is when the stored stock was read, updated the newest update that was known then; zero for never.
	seen, updated moment
	// due is since when the stored stock may be outdated; zero while it is not. It stays until the stock is read again.
	due moment
	// isDue says that it has to be read, isMarked that the store has due.
	isDue, isMarked bool
	// isDoubtful says that it has to be read without the former one.
	isDoubtful bool
	// failures counts readings that failed in a row; retryAt is when the next one may be made.
	failures int32
	retryAt  moment
}

// moment is a time in Unix seconds, 0 for none: there are two states of each repository.
type moment int64

func momentOf(t time.Time) moment {
	if t.IsZero() {
		return 0
	}
	return moment(t.Unix())
}

// time returns the time; the zero time for none.
func (m moment) time() time.Time {
	if m == 0 {
		return time.Time{}
	}
	return time.Unix(int64(m), 0).UTC()
}

// isUnsettled reports whether something may have changed in the second of the newest update, after the stock was read.
func (s *stockState) isUnsettled() bool {
	return s.updated != 0 && s.updated.time().After(s.seen.time().Add(-signalSettleTime))
}

// state returns the state of a stock, which is due as long as the store has none. The lock must be held.
func (s *stocks) state(repo int64, stream activity.Stream) *stockState {
	key := RepoStream{repo, stream}
	state := s.states[key]
	if state == nil {
		state = &stockState{isDue: true}
		s.states[key] = state
	}
	return state
}

// observe compares a discovered repository that the filter selects with what its stocks are of. A stock of which the
// listing shows a newer update is due.
func (s *stocks) observe(r *activity.Repository, start time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, stream := range stockStreams {
		if r.Signals.Disabled.Has(stream) {
			s.disable(r.ID, stream, start)
			continue
		}
		state := s.state(r.ID, stream)
		updated, ok := newestOf(&r.Signals, stream)
		if ok && (updated.After(state.updated.time()) || state.isUnsettled()) {
			state.isDue = true
		}
		if state.isDue {
			s.addCandidate(r)
		}
	}
}

// addCandidate adds a repository of the present pass. The lock must be held.
func (s *stocks) addCandidate(r *activity.Repository) {
	if !s.isRead {
		return
	}
	candidate := *r
	candidate.Facts = activity.RepoFacts{} // they are not needed, and large
	if s.candidates == nil {
		s.candidates = make(map[int64]activity.Repository)
	}
	s.candidates[r.ID] = candidate
}

// newestOf returns the newest update of a stream by its signal, and false without one.
func newestOf(signals *activity.Signals, stream activity.Stream) (time.Time, bool) {
	latest := signals.Pulls
	if stream == activity.StreamIssues {
		latest = signals.Issues
	}
	return latest.UpdatedAt, signals.Streams.Has(stream)
}

// disable forgets the stock of a stream that is switched off. The stored one is outdated, and is read again when the
// stream is back. The lock must be held.
func (s *stocks) disable(repo int64, stream activity.Stream, start time.Time) {
	state := s.states[RepoStream{repo, stream}]
	if state == nil {
		return
	}
	if entry, ok := state.mark(repo, stream, start); ok {
		s.outdated = append(s.outdated, entry)
	}
	delete(s.states, RepoStream{repo, stream})
}

// setDue makes a stock due that may be outdated since a time, and returns the entry to commit with the reason; false
// where the store has it as due, or has no stock. The lock must be held.
func (s *stocks) setDue(repo int64, stream activity.Stream, since time.Time) (ledger.Entry, bool) {
	state := s.state(repo, stream)
	state.isDue = true
	return state.mark(repo, stream, since)
}

// setDueSince makes a stock due that may be outdated since a time, unless it is since an earlier one.
func (s *stockState) setDueSince(since time.Time) {
	if s.isDue = true; s.due == 0 {
		s.due = max(momentOf(since), s.seen+1)
	}
}

// mark notes that the stored stock may be outdated since a time, or since an earlier one that was noted before, and
// returns the entry that says so; false where the store has the entry, or no stock.
func (s *stockState) mark(repo int64, stream activity.Stream, since time.Time) (ledger.Entry, bool) {
	if s.isMarked || s.seen == 0 {
		return ledger.Entry{}, false
	}
	s.setDueSince(since)
	s.isMarked = true
	return ledger.Entry{EntryKey: ledger.StockDueKey(repo, stream), Observed: s.due.time()}, true
}

// moved makes the stocks due that a reading shows to have moved, and those whose stream could not be read. It returns
// the entries that say so, which are committed with the result of the reading: so no leader takes an older stock for a
// present one.
func (s *stocks) moved(todo *reading, result *github.ReadResult) []ledger.Entry {
	s.mu.Lock()
	defer s.mu.Unlock()
	var entries []ledger.Entry
	repo := &todo.request.Repo
	for _, stream := range stockStreams {
		if !todo.request.Streams.Has(stream) {
			continue
		}
		state := s.state(repo.ID, stream)
		newest, ok := newestOf(&repo.Signals, stream)
		if !ok {
			newest = result.Newest[stream]
		}
		if result.Failed[stream] == nil && !newest.After(state.updated.time()) && !state.isUnsettled() && !state.isDue {
			continue
		}
		if entry, ok := s.setDue(repo.ID, stream, todo.unreadSince(stream)); ok {
			entries = append(entries, entry)
		}
		state.updated = momentOf(laterOf(state.updated.time(), newest))
		s.addCandidate(repo)
	}
	return entries
}

// missed makes the stocks due whose streams were not read, and returns the entries that say so.
func (s *stocks) missed(list []ledger.RepoProgress) []ledger.Entry {
	s.mu.Lock()
	defer s.mu.Unlock()
	var entries []ledger.Entry
	for i := range list {
		for _, missed := range list[i].Missed {
			if missed.Stream != activity.StreamPulls && missed.Stream != activity.StreamIssues {
				continue
			}
			if entry, ok := s.setDue(list[i].ID, missed.Stream, missed.Window.Start); ok {
				entries = append(entries, entry)
			}
		}
	}
	return entries
}

// verify makes the stocks due for a reconciliation. A transferred or deleted issue moves no signal, and so does a
// reviewer who has left: where the signals are known all are counted again, and those of active repositories are read
// without the former ones. Where they are not, counting costs requests for each repository: then only active ones are.
func (s *stocks) verify(r *ledger.RepoCoverage, isActive bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, stream := range stockStreams {
		hasSignal := r.Signals.Streams.Has(stream)
		if state := s.states[RepoStream{r.ID, stream}]; state != nil && (hasSignal || isActive) {
			state.isDue, state.isDoubtful = true, hasSignal && isActive
		}
	}
}

// laterOf returns the later one of two times.
func laterOf(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
