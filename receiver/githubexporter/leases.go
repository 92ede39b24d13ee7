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
