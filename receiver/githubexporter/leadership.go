package githubexporter

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.uber.org/zap"

	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
)

// election is what the receiver needs of an extension that elects leaders. Lead blocks: while this replica holds the lease
// called name it runs work with a context that ends with the term, waits for it, and campaigns again, until ctx ends.
type election interface {
	Lead(ctx context.Context, name string, work func(ctx context.Context, fence uint64) error) error
}

// callbackElection is contrib's interface of an extension that elects leaders. It knows one lease and no fences.
type callbackElection interface {
	SetCallBackFuncs(start func(context.Context), stop func())
}

const (
	// soleLeader is the fence of a process that leads without an election.
	soleLeader = 1
	// noFence is the fence under an election that gives none.
	noFence = 0
	// claimAgain is the wait before a new leader tries again to make its fence known.
	claimAgain = time.Second
)

// How leadership is divided.
const (
	leadershipReceiver = "receiver"
	leadershipOrg      = "org"
)

// elections finds the election that the configuration names.
func (r *githubReceiver) elections(host component.Host) (election, error) {
	id := r.config.LeaderElection
	if id == nil {
		return alone{}, nil
	}
	extension, ok := host.GetExtensions()[*id]
	if !ok {
		return nil, fmt.Errorf("leader_election: there is no extension %q, want the id of one under extensions and service::extensions", id)
	}
	if elector, ok := extension.(election); ok {
		return elector, nil
	}
	if elector, ok := extension.(callbackElection); ok {
		if r.config.Leadership == leadershipOrg {
			return nil, fmt.Errorf("leadership: %s, want %s with the extension %q, which knows one lease only", leadershipOrg, leadershipReceiver, id)
		}
		r.settings.Logger.Warn("The leader election gives no fences: writes of a leader whose term is over cannot be told apart. "+
			"They do no harm, because recording is a set union, but use leader_elector where you can.", zap.Stringer("extension", id))
		return newCallbackTerms(elector), nil
	}
	return nil, fmt.Errorf("leader_election: the extension %q elects nobody, want one such as leader_elector", id)
}

// alone leads for ever.
type alone struct{}

// Lead implements election.
func (alone) Lead(ctx context.Context, _ string, work func(context.Context, uint64) error) error {
	for ctx.Err() == nil {
		_ = work(ctx, soleLeader) // returns when ctx has ended
	}
	return context.Cause(ctx)
}

// callbackTerms makes terms of contrib's callbacks. Those may come under a lock, a stop without a start or before it, and
// they cannot be unregistered: they only leave a note.
type callbackTerms struct {
	noted chan struct{}

	mu   sync.Mutex
	term context.Context //nolint:containedctx // of the present term: contrib gives it to a callback
	end  context.CancelFunc
}

func newCallbackTerms(elector callbackElection) *callbackTerms {
	t := &callbackTerms{noted: make(chan struct{}, 1)}
	elector.SetCallBackFuncs(t.start, t.stop)
	return t
}

func (t *callbackTerms) start(ctx context.Context) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.end != nil {
		t.end()
	}
	t.term, t.end = context.WithCancel(ctx)
	select {
	case t.noted <- struct{}{}:
	default:
	}
}

func (t *callbackTerms) stop() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.end != nil {
		t.end()
	}
}

func (t *callbackTerms) current() context.Context {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.term
}

// Lead implements election for one lease.
func (t *callbackTerms) Lead(ctx context.Context, _ string, work func(context.Context, uint64) error) error {
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-t.noted:
		}
		term, cancel := context.WithCancel(t.current())
		stop := context.AfterFunc(ctx, cancel)
		for term.Err() == nil {
			_ = work(term, noFence) //nolint:contextcheck // returns when the term has ended, which ends with ctx
		}
		stop()
		cancel()
	}
}

// campaign leads what this replica is elected for, until ctx ends.
func (r *githubReceiver) campaign(ctx context.Context) {
	lease := r.settings.ID.Name() // two receivers of one collector have leases of their own
	if r.config.Leadership == leadershipReceiver {
		r.tasks.Go(func() { _ = r.election.Lead(ctx, lease, r.lead) }) // ends with the context only
		return
	}
	for _, org := range r.orgs {
		name := org.config.key()
		if lease != "" {
			name = lease + "/" + name
		}
		r.tasks.Go(func() { _ = r.election.Lead(ctx, name, org.lead) })
	}
}

// lead is a term over all organizations. None of them waits for another, and it ends when all have stopped.
func (r *githubReceiver) lead(ctx context.Context, fence uint64) error {
	errs := make([]error, len(r.orgs))
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var leading sync.WaitGroup
	for i, org := range r.orgs {
		leading.Go(func() {
			errs[i] = org.lead(ctx, fence)
			if errors.Is(errs[i], ledger.ErrFenced) {
				cancel() // the term is over for all of them
			}
		})
	}
	leading.Wait()
	return errors.Join(errs...)
}

// lead is a term over the organization: it makes passes, jobs of what they miss, and rounds over the weekly lines, until the term ends,
// and waits for all of them. The first write makes the fence known, so that nothing of an earlier term is accepted any more.
func (o *organization) lead(ctx context.Context, fence uint64) error {
	if err := o.claim(ctx, fence); err != nil {
		return err
	}
	o.beginTerm()
	o.monitor.Lead(o.name, true)
	o.wake() // whoever looks sees who leads
	defer o.resign(ctx)
	var work sync.WaitGroup
	if o.jobs != nil {
		work.Go(func() { o.dispatch(ctx, o.jobs) })
	}
	if o.lines != nil {
		o.lines.begin()
		work.Go(func() { o.refreshLines(ctx, fence) })
	}
	o.schedule(ctx, fence)
	work.Wait()
	return context.Cause(ctx)
}

func (o *organization) claim(ctx context.Context, fence uint64) error {
	for tries := 0; ; tries++ {
		_, err := o.store.Commit(ctx, fence, ledger.Batch{Org: o.name, Observed: time.Now()})
		if err == nil || errors.Is(err, ledger.ErrFenced) || ctx.Err() != nil {
			if err != nil {
				o.logger.Warn("The term cannot begin.", zap.Uint64("fence", fence), zap.Error(err))
			}
			return err
		}
		if tries == 0 {
			o.logger.Warn("The store does not take the new leader's claim; it is tried again and again.", zap.Error(err))
		}
		o.pause(ctx, claimAgain, false)
	}
}

// resign ends a term: what was counted and not committed yet goes to the store without authority.
func (o *organization) resign(ctx context.Context) {
	o.monitor.Lead(o.name, false)
	o.condition.forget()
	o.rest()
	o.wake()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushFor)
	defer cancel()
	if err := o.collector.Flush(ctx); err != nil {
		o.logger.Warn("What was counted last could not be committed; it goes with the next commit of this process.", zap.Error(err))
	}
}
