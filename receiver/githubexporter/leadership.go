package githubexporter

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.uber.org/zap"

	fences "github.com/seed-358c4d9d/githubexporter/internal/election"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
	"github.com/seed-358c4d9d/githubexporter/internal/wakeup"
)

// leaderElection is what the receiver needs of an extension that elects leaders. Lead blocks: while this replica holds the lease
// called name it runs work with a context that ends with the term, waits for it, and campaigns again, until ctx ends.
type leaderElection interface {
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
	// storeRetryInterval is the wait before a new leader tries again to make its fence known.
	storeRetryInterval = time.Second
	// standbyLogDelay is the wait before a refusal is logged: the term may be about to end, as after a pause of the
	// process.
	standbyLogDelay = 2 * time.Second
)

// errNewTerm ends a term in which the store refused the writes, so that the next one has a newer fence.
var errNewTerm = errors.New("a new term is needed: the store refused the writes of this one")

// How leadership is divided.
const (
	leadershipReceiver = "receiver"
	leadershipOrg      = "org"
)

// findElection finds the election that the configuration names.
func (r *githubReceiver) findElection(host component.Host) (leaderElection, error) {
	id := r.config.LeaderElection
	if id == nil {
		return &soleElection{shared: r.config.Redis.Enabled()}, nil
	}
	extension, ok := host.GetExtensions()[*id]
	if !ok {
		return nil, fmt.Errorf("leader_election: there is no extension %q, want the id of one under extensions and service::extensions", id)
	}
	if elector, ok := extension.(leaderElection); ok {
		return elector, nil
	}
	if elector, ok := extension.(callbackElection); ok {
		if r.config.Leadership == leadershipOrg {
			return nil, fmt.Errorf("leadership: %s, want %s with the extension %q, which knows one lease only", leadershipOrg, leadershipReceiver, id)
		}
		r.settings.Logger.Warn("The leader election provides no fences: the store cannot reject writes of a "+
			"former leader. Recording is a set union, so such writes corrupt nothing, but prefer leader_elector.",
			zap.Stringer("extension", id))
		return newCallbackTermElection(elector), nil
	}
	return nil, fmt.Errorf("leader_election: the extension %q is no leader election, want one such as "+
		"leader_elector", id)
}

// soleElection leads for ever.
type soleElection struct {
	// shared says that others may have led with the same store.
	shared bool
}

// Lead implements election. A store that has seen an election refuses the fence of a sole leader: then it is made as
// elections make theirs.
func (a *soleElection) Lead(ctx context.Context, _ string, work func(context.Context, uint64) error) error {
	fence := uint64(soleLeader)
	for ctx.Err() == nil {
		err := work(ctx, fence) // returns when ctx has ended, or a newer fence is needed
		if a.shared && errors.Is(err, errNewTerm) {
			fence = max(fence+1, fences.NewFence(time.Now()))
		}
	}
	return context.Cause(ctx)
}

// callbackTermElection makes terms of contrib's callbacks. Those may come under a lock, a stop without a start or before it, and
// they cannot be unregistered: they only leave a note.
type callbackTermElection struct {
	termStarted wakeup.Signal

	mu         sync.Mutex
	term       context.Context //nolint:containedctx // of the present term: contrib gives it to a callback
	cancelTerm context.CancelFunc
}

func newCallbackTermElection(elector callbackElection) *callbackTermElection {
	t := &callbackTermElection{termStarted: wakeup.NewSignal()}
	elector.SetCallBackFuncs(t.start, t.stop)
	return t
}

func (t *callbackTermElection) start(ctx context.Context) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.cancelTerm != nil {
		t.cancelTerm()
	}
	t.term, t.cancelTerm = context.WithCancel(ctx)
	t.termStarted.Notify()
}

func (t *callbackTermElection) stop() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.cancelTerm != nil {
		t.cancelTerm()
	}
}

func (t *callbackTermElection) current() context.Context {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.term
}

// Lead implements election for one lease.
func (t *callbackTermElection) Lead(ctx context.Context, _ string, work func(context.Context, uint64) error) error {
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-t.termStarted:
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
	if r.config.Leadership == leadershipReceiver {
		lease := r.leases.ofReceiver()
		r.tasks.Go(func() { _ = r.election.Lead(ctx, lease, r.runTerm) }) // ends with the context only
		return
	}
	for _, org := range r.orgs {
		r.tasks.Go(func() {
			_ = r.election.Lead(ctx, org.lease, func(ctx context.Context, fence uint64) error {
				former := newFormerLeases(ctx, r.leases)
				defer former.release()
				return org.runTerm(ctx, fence, former)
			})
		})
	}
}

// runTerm is a term over all organizations. None of them waits for another, and it ends when all have stopped. One of
// which the store refuses the writes does not stop the others, until a new term is needed for it.
func (r *githubReceiver) runTerm(ctx context.Context, fence uint64) error {
	errs := make([]error, len(r.orgs))
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	former := newFormerLeases(ctx, r.leases)
	defer former.release()
	var leading sync.WaitGroup
	for i, org := range r.orgs {
		leading.Go(func() {
			errs[i] = org.runTerm(ctx, fence, former)
			if errors.Is(errs[i], errNewTerm) {
				cancel() // the term is over for all of them
			}
		})
	}
	leading.Wait()
	return errors.Join(errs...)
}

// runTerm is a term over the organization. It begins when the lease of a former leader was acquired too, and after the
// store refused a write it stands by.
func (o *organization) runTerm(ctx context.Context, fence uint64, former *formerLeases) error {
	fence, err := o.awaitFormerLease(ctx, fence, former)
	if err != nil {
		return err
	}
	err = o.leadTerm(ctx, fence, former)
	switch {
	case ctx.Err() != nil || !errors.Is(err, ledger.ErrFenced):
		return err
	case fence == soleLeader:
		return errNewTerm // it says nothing about who was first
	default:
		return o.standBy(ctx, fence, former)
	}
}

// awaitFormerLease waits for the lease under which the organization was led before, where that is another one: its leader
// may be of the version before, or have another set of organizations. It is held for the term. When it is not to be
// had and no leader of the organization writes, the replica leads without it. The fence that it returns is the newer
// one of both leases.
func (o *organization) awaitFormerLease(ctx context.Context, fence uint64, former *formerLeases) (uint64, error) {
	if !o.leases.hasNames() {
		return fence, nil
	}
	name, err := o.findFormerLease(ctx)
	if err != nil {
		return 0, err
	}
	if name == nil {
		return fence, nil
	}
	o.logger.Info("The organization was led under another lease; acquiring that lease as well.",
		zap.String("lease", o.lease), zap.String("former_lease", *name))
	o.leaderWatch.setWaitsFor(name)
	defer o.leaderWatch.setWaitsFor(nil)
	lease := former.acquire(*name)
	silent := o.awaitSilence(ctx, lease.acquired)
	select {
	case <-lease.acquired:
		return max(fence, lease.fence), nil
	default:
	}
	if !silent {
		return 0, context.Cause(ctx)
	}
	o.logger.Warn("Failed to acquire the former leader's lease, and no leader has written within the silence "+
		"limit; leading without it.",
		zap.String("former_lease", *name), zap.Duration("silent_for", o.silenceLimit()))
	return fence, nil
}

// findFormerLease is the lease under which the organization was led last, nil when it is this replica's own or the
// organization was never read. It asks until the store answers or ctx ends.
func (o *organization) findFormerLease(ctx context.Context) (*string, error) {
	for tries := 0; ; tries++ {
		name, err := o.readFormerLease(ctx)
		if err == nil || ctx.Err() != nil {
			return name, err
		}
		if tries == 0 {
			o.logger.Warn("Failed to read the last leader from the store; the term starts once the read succeeds.",
				zap.Error(err))
		}
		o.pause(ctx, storeRetryInterval, false)
	}
}

func (o *organization) readFormerLease(ctx context.Context) (*string, error) {
	samples, err := o.store.ReadEntries(ctx, o.name, []ledger.EntryKey{entryLeader})
	if err != nil {
		return nil, fmt.Errorf("read the last leader: %w", err)
	}
	unrecorded := o.leases.legacyLease(o.config.key())
	if sample, ok := samples[entryLeader]; ok {
		record, err := decodeLeader(sample.Data)
		if err == nil && record.Lease != o.lease {
			return &record.Lease, nil
		}
		if err == nil {
			return o.findUnrecordedLeader(ctx, &record, unrecorded)
		}
		o.logger.Warn("The record of the last leader is corrupt; acquiring the lease of versions without such a "+
			"record.",
			zap.Error(err))
	}
	if unrecorded == o.lease {
		return nil, nil //nolint:nilnil // nil is no other lease
	}
	cov, err := o.store.Coverage(ctx, o.name)
	if err != nil {
		return nil, fmt.Errorf("read the coverage: %w", err)
	}
	if cov.Edge.IsZero() && len(cov.Repos) == 0 {
		return nil, nil //nolint:nilnil // nil is no other lease
	}
	return &unrecorded, nil
}

// findUnrecordedLeader is the lease of a leader that has come after the recorded one and does not record itself, as the version
// before does not; nil when there is none. A batch of nothing under the recorded fence shows it: the store refuses it
// then.
func (o *organization) findUnrecordedLeader(ctx context.Context, record *leaderRecord, unrecorded string) (*string, error) {
	if unrecorded == o.lease || record.Fence == 0 {
		return nil, nil //nolint:nilnil // nil is no other lease
	}
	_, err := o.store.Commit(ctx, record.Fence, ledger.Batch{Org: o.name, Observed: time.Now()})
	switch {
	case errors.Is(err, ledger.ErrFenced):
		return &unrecorded, nil
	case err != nil:
		return nil, fmt.Errorf("compare the fence of the last leader: %w", err)
	default:
		return nil, nil //nolint:nilnil // nil is no other lease
	}
}

// leadTerm makes passes, jobs of what they miss, and rounds over the weekly lines, until the term ends or the store
// refuses a write, and waits for all of them. The first write makes the fence known, so that nothing of an earlier
// term is accepted any more.
func (o *organization) leadTerm(ctx context.Context, fence uint64, former *formerLeases) error {
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	o.termStore.setOnFenced(func() { end(ledger.ErrFenced) })
	defer o.termStore.setOnFenced(nil)
	if err := o.publishFence(ctx, fence); err != nil {
		return err
	}
	former.fencePublished()
	o.startTerm()
	o.monitor.SetLeader(o.name, true)
	o.wake() // the role is shown at once
	defer o.resign(ctx)
	var work sync.WaitGroup
	if o.queue != nil {
		work.Go(func() { o.runDispatcher(ctx, o.queue) })
	}
	if o.weekly != nil {
		o.weekly.discardPasses()
		work.Go(func() { o.runLineRounds(ctx, fence) })
	}
	if o.leases.elected {
		work.Go(func() { o.repeatLeaderRecord(ctx, fence) })
	}
	o.runPasses(ctx, fence)
	work.Wait()
	return context.Cause(ctx)
}

// standBy is for a replica whose writes the store refuses while its own lease is valid: another election has authority
// over the organization. It makes no passes, and ends the term when the other leader has written nothing for a
// while, or has released its lease, where that is known.
func (o *organization) standBy(ctx context.Context, fence uint64, former *formerLeases) error {
	o.leaderWatch.setStandsBy(fence, time.Now())
	defer o.leaderWatch.setStandsBy(0, time.Now())
	o.pause(ctx, standbyLogDelay, false)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	o.logger.Warn("Another election leads the organization: the store rejects the writes of this replica, which "+
		"stands by until the other leader stops writing.",
		zap.String("lease", o.lease), zap.Uint64("fence", fence), zap.Duration("retry_after", o.silenceLimit()))
	released := o.awaitRelease(ctx, former)
	o.awaitSilence(ctx, released)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	o.logger.Info("The other leader of the organization stopped; starting a new term.")
	return errNewTerm
}

// awaitRelease begins to campaign for the lease under which the other leader leads, where that is known. What it
// returns is closed when the lease was released; it is nil when the other leader does not hold it.
func (o *organization) awaitRelease(ctx context.Context, former *formerLeases) <-chan struct{} {
	if !o.leases.hasNames() {
		return nil
	}
	name, err := o.readFormerLease(ctx)
	if err != nil || name == nil {
		return nil
	}
	lease := former.acquire(*name)
	o.pause(ctx, standbyLogDelay, false)
	select {
	case <-lease.acquired:
		return nil
	default:
		return lease.acquired
	}
}

// fenceBatch makes the fence known and says which lease leads.
func (o *organization) fenceBatch(fence uint64, now time.Time) ledger.Batch {
	b := ledger.Batch{Org: o.name, Observed: now}
	if !o.leases.elected {
		return b
	}
	if last, ok := o.view.Entry(entryLeader); ok && last.Observed.After(now) {
		now = last.Observed // the newest observation wins, and the other clock may be fast
	}
	sample, err := leaderEntry(leaderRecord{Lease: o.lease, Identity: o.leases.identity, Fence: fence}, now)
	if err != nil {
		o.logger.Debug("Failed to record the leader.", zap.Error(err)) // cannot be: it has plain texts
		return b
	}
	b.Entries = []ledger.Entry{sample}
	return b
}

// publishFence commits the first batch of a term. It tries until the store answers or ctx ends.
func (o *organization) publishFence(ctx context.Context, fence uint64) error {
	for tries := 0; ; tries++ {
		_, err := o.store.Commit(ctx, fence, o.fenceBatch(fence, time.Now()))
		if err == nil || errors.Is(err, ledger.ErrFenced) || ctx.Err() != nil {
			return err
		}
		if tries == 0 {
			o.logger.Warn("Failed to publish the new leader's fence; retrying.", zap.Error(err))
		}
		o.pause(ctx, storeRetryInterval, false)
	}
}

// resign ends a term: what was counted and not committed yet goes to the store without authority.
func (o *organization) resign(ctx context.Context) {
	o.monitor.SetLeader(o.name, false)
	o.health.reset()
	o.clearTerm()
	o.wake()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushTimeout)
	defer cancel()
	if err := o.collector.Flush(ctx); err != nil {
		o.logger.Warn("Failed to flush the counters of the ended term; will retry with the next commit of this "+
			"process.", zap.Error(err))
	}
}
