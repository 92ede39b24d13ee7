// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package kubelease

import (
	"context"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
)

// lock is client-go's lock for one term. It bounds each request, counts from the start of the last renewal how long the
// term can be relied on, and detects another holder. sendRequest is safe for concurrent use; the other methods are for
// one goroutine at a time.
type lock struct {
	*resourcelock.LeaseLock
	api        *apiState
	timeout    time.Duration
	trustedFor time.Duration
	onExpired  func() // the term cannot be trusted any more
	onLost     func() // another replica holds the lease
	onHeld     func(holder string)

	// renewInterval is the time between two renewals: earlier ones are skipped.
	renewInterval time.Duration
	renewedAt     time.Time // the start of the last renewal

	mayHold     bool        // the lease may be held: a request for it was sent
	expiryTimer *time.Timer // set while the lease is held
}

// Get reads the lease's record. A term that held the lease and finds another holder is over.
func (l *lock) Get(ctx context.Context) (record *resourcelock.LeaderElectionRecord, raw []byte, err error) {
	err = l.sendRequest(ctx, func(ctx context.Context) error {
		record, raw, err = l.LeaseLock.Get(ctx)
		return err
	})
	if err != nil || record.HolderIdentity == l.Identity() {
		return record, raw, err
	}
	if l.expiryTimer != nil {
		l.onLost()
	}
	if record.HolderIdentity != "" {
		l.onHeld(record.HolderIdentity)
	}
	return record, raw, err
}

// Create creates the Lease, held by this term.
func (l *lock) Create(ctx context.Context, record resourcelock.LeaderElectionRecord) error {
	return l.writeRecord(ctx, record, l.LeaseLock.Create)
}

// Update acquires or renews the lease.
func (l *lock) Update(ctx context.Context, record resourcelock.LeaderElectionRecord) error {
	return l.writeRecord(ctx, record, l.LeaseLock.Update)
}

// writeRecord writes the record, unless it was written less than renewInterval ago.
func (l *lock) writeRecord(
	ctx context.Context, record resourcelock.LeaderElectionRecord,
	write func(context.Context, resourcelock.LeaderElectionRecord) error,
) error {
	start := time.Now()
	if l.expiryTimer != nil && start.Sub(l.renewedAt) < l.renewInterval {
		return nil
	}
	l.mayHold = true
	err := l.sendRequest(ctx, func(ctx context.Context) error { return write(ctx, record) })
	if err == nil {
		l.renewedAt = start
		l.trustUntil(start.Add(l.trustedFor))
	}
	return err
}

// sendRequest bounds a request, and reports its result unless ctx ended.
func (l *lock) sendRequest(ctx context.Context, do func(context.Context) error) error {
	bounded, cancel := context.WithTimeout(ctx, l.timeout)
	defer cancel()
	err := do(bounded)
	if err == nil || ctx.Err() == nil {
		l.api.observe(err)
	}
	return err
}

// release releases the lease if this term holds it.
func (l *lock) release(ctx context.Context) error {
	if l.expiryTimer != nil {
		l.expiryTimer.Stop()
	}
	record, _, err := l.LeaseLock.Get(ctx)
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil || record.HolderIdentity != l.Identity() {
		return err
	}
	now := meta.Now()
	return l.LeaseLock.Update(ctx, resourcelock.LeaderElectionRecord{
		LeaderTransitions: record.LeaderTransitions, LeaseDurationSeconds: 1, AcquireTime: now, RenewTime: now,
	})
}

// trustUntil moves the time at which the term expires. It has no effect once the term has expired.
func (l *lock) trustUntil(until time.Time) {
	if l.expiryTimer == nil {
		l.expiryTimer = time.AfterFunc(time.Until(until), l.onExpired)
	} else if l.expiryTimer.Stop() {
		l.expiryTimer.Reset(time.Until(until))
	}
}
