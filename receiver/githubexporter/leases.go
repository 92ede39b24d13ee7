// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubexporter

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/collector/component"

	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
)

// leaseElection is what leader_elector offers beside Lead. Other elections need not have it.
type leaseElection interface {
	leaderElection
	// HasNamedLeases reports whether leases of any name can be had.
	HasNamedLeases() bool
	// LeadBeside is Lead for a lease that is held beside another one; only where HasNamedLeases is true.
	LeadBeside(ctx context.Context, name string, work func(ctx context.Context, fence uint64) error) error
	// LeaseDuration is how long a lease is held without being renewed.
	LeaseDuration() time.Duration
	// Identity names this process in the leases.
	Identity() string
	// DescribeLease says in words who holds a lease, or why that is not known, and what a person can do.
	DescribeLease(name string) string
}

// leases names the leases of a receiver.
type leases struct {
	// elector is nil where the election offers no more than Lead.
	elector leaseElection
	// receiver is the receiver's name: two receivers of one collector have leases of their own.
	receiver string
	// divided says that each organization has a lease of its own.
	divided bool
	// keys are those of the organizations, sorted.
	keys []string
	// identity names this process where the election does not.
	identity string
	// elected is false for a process that leads without an election.
	elected bool
}

func newLeases(config *Config, id component.ID, elected leaderElection) *leases {
	l := &leases{
		receiver: id.Name(), divided: config.Leadership == leadershipOrg, elected: config.LeaderElection != nil,
	}
	l.elector, _ = elected.(leaseElection)
	for i := range config.Orgs {
		l.keys = append(l.keys, config.Orgs[i].key())
	}
	slices.Sort(l.keys)
	if l.elector != nil {
		l.identity = l.elector.Identity()
	} else if host, err := os.Hostname(); err == nil {
		l.identity = host
	}
	return l
}

// hasNames reports whether leases of any name can be had.
func (l *leases) hasNames() bool { return l.elector != nil && l.elector.HasNamedLeases() }

// hashDigits is how many hexadecimal digits of the hash of the organizations a lease's name has.
const hashDigits = 8

// ofReceiver is the lease of all organizations of the receiver. Where the backend has leases of any name it contains a
// hash of the organizations, so that deployments with different ones do not wait for each other.
func (l *leases) ofReceiver() string {
	if !l.hasNames() {
		return l.receiver
	}
	sum := sha256.Sum256([]byte(strings.Join(l.keys, "\n")))
	name := l.receiver
	if name == "" {
		name = "leader"
	}
	return name + "-" + hex.EncodeToString(sum[:])[:hashDigits]
}

// ofOrganization is the lease of one organization, by its key, with leadership: org.
func (l *leases) ofOrganization(key string) string {
	if l.receiver == "" {
		return key
	}
	return l.receiver + "/" + key
}

// leaseFor is the lease under which this replica leads an organization.
func (l *leases) leaseFor(key string) string {
	if l.divided {
		return l.ofOrganization(key)
	}
	return l.ofReceiver()
}

// legacyLease is the lease under which versions led an organization that do not record it.
func (l *leases) legacyLease(key string) string {
	if l.divided {
		return l.ofOrganization(key)
	}
	return l.receiver
}

// leaseDuration is how long a lease lasts, 0 where that is not known.
func (l *leases) leaseDuration() time.Duration {
	if l.elector == nil {
		return 0
	}
	return l.elector.LeaseDuration()
}

// describe says who holds a lease; "" where that is not known.
func (l *leases) describe(name string) string {
	if l.elector == nil {
		return ""
	}
	return l.elector.DescribeLease(name)
}

// orgLease is the lease of one organization: the name under which this replica leads it, and the key of the
// organization.
type orgLease struct {
	*leases
	name, key string
}

// leaseOf returns the lease of an organization, by its key.
func (l *leases) leaseOf(key string) orgLease {
	return orgLease{leases: l, name: l.leaseFor(key), key: key}
}

// legacyName returns the lease under which versions led the organization that do not record it.
func (l orgLease) legacyName() string { return l.legacyLease(l.key) }

// entryLeader is the entry that says which lease leads an organization. Each term writes it with its first commit,
// and a leader that has nothing else to write repeats it. Its data is a leaderRecord.
var entryLeader = ledger.EntryKey{Name: ledger.EntryLeader}

// leaderRecord is the data of entryLeader, in JSON.
type leaderRecord struct {
	Lease    string `json:"lease"`
	Identity string `json:"identity"`
	// Fence is that of the term: a leader that does not record itself has a newer one.
	Fence uint64 `json:"fence,string"`
}

// maxLeaderField bounds the texts of a leaderRecord in bytes.
const maxLeaderField = 512

// leaderEntry returns the entry of a replica that leads an organization.
func leaderEntry(record leaderRecord, at time.Time) (ledger.Entry, error) {
	data, err := json.Marshal(record)
	if err != nil {
		return ledger.Entry{}, fmt.Errorf("encode the leader: %w", err)
	}
	return ledger.Entry{EntryKey: entryLeader, Data: data, Observed: at}, nil
}

func decodeLeader(data []byte) (leaderRecord, error) {
	var record leaderRecord
	if err := json.Unmarshal(data, &record); err != nil {
		return leaderRecord{}, fmt.Errorf("%w: the leader: %w", ledger.ErrCorrupt, err)
	}
	if len(record.Lease) > maxLeaderField || len(record.Identity) > maxLeaderField {
		return leaderRecord{}, fmt.Errorf("%w: the leader: a text of more than %d bytes", ledger.ErrCorrupt,
			maxLeaderField)
	}
	return record, nil
}

// formerLeases are the leases of former leaders that a term holds beside its own: replicas of the version before, or
// with another set of organizations, wait for those. Organizations with the same former leader share one.
type formerLeases struct {
	elector leaseElection
	// releaseEarly says that a lease is released as soon as the organization is claimed: with leadership: org the
	// organizations of other replicas may wait for the same one.
	releaseEarly bool
	ctx          context.Context //nolint:containedctx // of the term, and of what ends it
	cancel       context.CancelFunc

	mu    sync.Mutex
	held  map[string]*formerLease
	tasks sync.WaitGroup
}

// formerLease is one of them.
type formerLease struct {
	// acquired is closed when the lease was acquired first, with fence as its fence.
	acquired chan struct{}
	fence    uint64
}

// newFormerLeases returns an empty set for a term. Acquired leases outlive ctx: they are held until release, or only
// until fencePublished when releaseEarly is set.
func newFormerLeases(ctx context.Context, l *leases) *formerLeases {
	f := &formerLeases{elector: l.elector, releaseEarly: l.divided, held: make(map[string]*formerLease)}
	f.ctx, f.cancel = context.WithCancel(context.WithoutCancel(ctx))
	return f
}

// acquire begins to campaign for a lease, once.
func (f *formerLeases) acquire(name string) *formerLease {
	f.mu.Lock()
	defer f.mu.Unlock()
	if lease := f.held[name]; lease != nil {
		return lease
	}
	lease := &formerLease{acquired: make(chan struct{})}
	f.held[name] = lease
	var first sync.Once
	f.tasks.Go(func() {
		// ends with the context only
		_ = f.elector.LeadBeside(f.ctx, name, func(ctx context.Context, fence uint64) error {
			first.Do(func() {
				lease.fence = fence
				close(lease.acquired)
			})
			<-ctx.Done()
			return context.Cause(ctx)
		})
	})
	return lease
}

// fencePublished is called when an organization was claimed.
func (f *formerLeases) fencePublished() {
	if f.releaseEarly {
		f.cancel()
	}
}

// release gives all leases back and waits for it.
func (f *formerLeases) release() {
	f.cancel()
	f.tasks.Wait()
}
