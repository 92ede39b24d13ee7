// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubexporter

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"slices"
	"strings"
	"time"

	"go.opentelemetry.io/collector/component"
)

// leaseElection is the part of leader_elector that the receiver uses beside Lead. Other elections need not have it.
type leaseElection interface {
	leaderElection
	// HasNamedLeases reports whether the backend has leases of any name.
	HasNamedLeases() bool
	// LeadBeside is Lead for a lease that is held beside another one; only where HasNamedLeases is true.
	LeadBeside(ctx context.Context, name string, work func(ctx context.Context, fence uint64) error) error
	// LeaseDuration returns how long a lease lasts without a renewal.
	LeaseDuration() time.Duration
	// Identity returns the name of this process in the leases.
	Identity() string
	// DescribeLease returns in words who holds a lease, or why that is unknown, and what an operator can do.
	DescribeLease(name string) string
}

// leases has the names of the leases of a receiver, and the election that holds them. It does not change.
type leases struct {
	// elector is nil where the election offers Lead only.
	elector leaseElection
	// receiver is the name of the receiver in the configuration: two receivers of one collector have leases of their
	// own.
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

// newLeases returns the leases of the receiver with an id, under an election.
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

// hasNames reports whether the election has leases of any name.
func (l *leases) hasNames() bool { return l.elector != nil && l.elector.HasNamedLeases() }

// hashDigits is the number of hexadecimal digits of the hash in a lease's name.
const hashDigits = 8

// ofReceiver returns the lease of all organizations of the receiver. Where the election has leases of any name it
// contains a hash of the organizations, so that deployments with different ones do not wait for each other.
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

// ofOrganization returns the lease of one organization, by its key, with leadership: org.
func (l *leases) ofOrganization(key string) string {
	if l.receiver == "" {
		return key
	}
	return l.receiver + "/" + key
}

// leaseFor returns the lease under which this replica leads an organization, by its key.
func (l *leases) leaseFor(key string) string {
	if l.divided {
		return l.ofOrganization(key)
	}
	return l.ofReceiver()
}

// legacyLease returns the lease under which releases led an organization that do not record it.
func (l *leases) legacyLease(key string) string {
	if l.divided {
		return l.ofOrganization(key)
	}
	return l.receiver
}

// leaseDuration returns how long a lease lasts without a renewal; 0 where that is unknown.
func (l *leases) leaseDuration() time.Duration {
	if l.elector == nil {
		return 0
	}
	return l.elector.LeaseDuration()
}

// describe returns in words who holds a lease; "" where that is unknown.
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

// legacyName returns the lease under which releases led the organization that do not record it.
func (l orgLease) legacyName() string { return l.legacyLease(l.key) }
