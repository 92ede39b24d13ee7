package github

import (
	"context"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/github/budget"
)

// ReadRequest asks for the activity of a repository.
type ReadRequest struct {
	Org string
	// Repo is the repository as it was discovered.
	Repo activity.Repository
	// Streams are what is read.
	Streams activity.Streams
	// Since is from when on everything must be in what is read, of each stream, in whole seconds and inclusive.
	Since [activity.NumStreams]time.Time
	// GapStart is from when on more is missing than Since asks for; zero when nothing is. What is asked for anyway may show all of that,
	// too, and then no further question is needed.
	GapStart [activity.NumStreams]time.Time
	// Until is the end of a window of the past, exclusive; zero for up to now. Commits are bounded by committer date and
	// comments by update time; pull requests are listed from the newest on and cannot be.
	Until [activity.NumStreams]time.Time
	// ReadHead is the head up to which the commits were read before. Commits are then walked from the present head back
	// to it, whatever their dates are, and Since is only where the walk ends when the history was rewritten. Empty:
	// commits are listed by committer date.
	ReadHead string
	// Tips are heads, other than SeenHead, from which commits may have been recorded: what the present head does not
	// reach of them is in Outcome.Removed. Since[StreamCommits] must then be the horizon: older commits are not looked
	// at.
	Tips []string
	// AtCommit lists a window of the past (Until is set, SeenHead is empty) from this commit instead of from the default
	// branch's present head; empty: the present head. When the commit is not there, the stream fails with a
	// *NotFoundError.
	AtCommit string
	// OnHead is called with the object name of the head before the first events of the commits are emitted that are listed
	// from it; nil for not at all. It may be called again.
	OnHead func(head string)
	// SkipLines reads commits without their lines, which is far cheaper with REST.
	SkipLines bool
	// PullScans are how far former readings of pull requests have come: what they handed out is not asked for again.
	PullScans PullScans
	// Validators are of each stream what its last complete reading handed out, when it has recorded everything before Since.
	Validators [activity.NumStreams]Validator
	// Minimal asks each question once, in its smallest form, and one stream after the other: an earlier reading of the
	// repository failed.
	Minimal bool
	// Priority is that of the requests.
	Priority budget.Priority
	// prefetched is what Prepare has got.
	prefetched *prefetchedPage
}

// ReadResult says what was read.
type ReadResult struct {
	// Head is the head up to which the commits were read; empty in an empty repository.
	Head string
	// Failed has the streams that were not read completely, with the reason. Of those, everything from Reached on was handed out, up
	// to the end of a window of the past; zero when that is not known of any of it, as of pull requests: one that is touched meanwhile
	// is met at the end.
	Failed      map[activity.Stream]error
	CoveredFrom [activity.NumStreams]time.Time
	// GapCoveredFrom is from when on everything was handed out of a stream that did not fail; zero when that is what Since asked for.
	GapCoveredFrom [activity.NumStreams]time.Time
	// PullScans are how far this reading of pull requests and the former ones have come.
	PullScans PullScans
	// Removed are commits that SeenHead or one of Tips reaches and Head does not: after a force-push, a rebase, or when
	// another branch is the default one. Commits that are older than the horizon may be among them. Empty when the
	// commits failed.
	Removed []activity.ID
	// ResolvedTips are those of SeenHead and Tips about which Removed and Sweep say everything, Head itself excluded. Empty
	// when the commits failed.
	ResolvedTips []string
	// Sweep, when not nil, says which commits the branch has: GitHub could not compare Head with one of the other
	// heads, because that is not there any more, or has nothing in common with Head. It holds for Head, as Removed
	// does.
	Sweep *Sweep
	// Validators will tell whether the streams that were read have changed; zero where nothing does.
	Validators [activity.NumStreams]Validator
}

// Sweep says that of the commits dated Since or later the branch has exactly Keep. Keep may have older commits, too.
// Every commit that was emitted by the same reading is in it.
type Sweep struct {
	Since   time.Time
	Present []activity.ID
}

func (o *ReadResult) setFailed(s activity.Stream, err error) {
	if err == nil {
		return
	}
	if o.Failed == nil {
		o.Failed = make(map[activity.Stream]error, activity.NumStreams)
	}
	o.Failed[s], o.Validators[s], o.GapCoveredFrom[s] = err, Validator{}, time.Time{}
}

// Read yields the events of a repository page by page. Events may come twice and may be older than asked for; none that
// happened in the time asked for is missing from a stream that did not fail. An error of emit ends the streams that are
// not done.
func (c *Client) Read(ctx context.Context, req ReadRequest, emit func([]activity.Event) error) ReadResult {
	r := &reader{client: c, request: &req, emit: emit, former: newFormerTips(&req)}
	r.linesApart = c.repos.areLinesApart(req.Repo.ID, c.settings.Now())
	inPart := withScope(ctx, scope{
		repo: req.Repo.ID, patience: c.newPatience(partPatience, req.Minimal), priority: req.Priority,
	})
	if sources := r.activitySources(); c.settings.API == APIREST {
		r.readREST(inPart, sources)
	} else if len(sources) > 0 {
		r.readActivity(inPart, sources)
	}
	r.recordMissedLines()
	for _, s := range streamSources {
		if s.activity == nil && r.wants(s.stream) {
			alone := withScope(ctx, scope{
				repo: req.Repo.ID, patience: c.newPatience(commentsPatience, req.Minimal), priority: req.Priority,
			})
			r.readREST(alone, []*streamSource{s})
		}
	}
	return r.result
}

// readREST reads streams with REST.
func (r *reader) readREST(ctx context.Context, sources []*streamSource) {
	for _, s := range sources {
		r.result.setFailed(s.stream, s.readREST(ctx, r))
	}
}

// reader reads one repository.
type reader struct {
	client  *Client
	request *ReadRequest
	emit    func([]activity.Event) error
	result  ReadResult
	former  formerTips
	// headReported says that Request.Pin was called.
	headReported bool
	// linesApart says that commits are asked for without their lines, which are asked for afterwards: GitHub may not
	// be able to compute them in time.
	linesApart bool
	// forWeeklyLines says that the lines of a week are read, which are asked for again and again.
	forWeeklyLines bool
	lines          linesTracker
}

// emitValid hands out what is honest of a page.
func (r *reader) emitValid(events []activity.Event) error {
	good := events[:0]
	for i := range events {
		e := &events[i]
		e.Time = e.Time.UTC().Truncate(time.Second)
		if err := e.Validate(); err != nil {
			r.client.settings.OnInvalidValue(err)
			continue
		}
		good = append(good, *e)
	}
	if len(good) == 0 {
		return nil
	}
	return r.emit(good)
}

func (r *reader) newEvent(kind activity.Kind, id activity.ID, who activity.Actor, at time.Time) activity.Event {
	return activity.Event{Kind: kind, Repo: r.request.Repo.ID, ID: id, Actor: who, Time: at}
}

// wants reports whether a stream is asked for.
func (r *reader) wants(s activity.Stream) bool { return r.request.Streams.Has(s) }

// clampLines cuts a number of lines to what an event holds.
func clampLines(n int) uint32 {
	return uint32(min(max(0, n), 1<<31))
}
