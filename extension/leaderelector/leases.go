// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package leaderelector

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// namedBackend is a backend with leases of any name.
type namedBackend interface {
	LeadBeside(ctx context.Context, name string, work func(ctx context.Context, fence uint64) error) error
}

// errNoNamedLeases is the error of LeadBeside where HasNamedLeases is false.
var errNoNamedLeases = errors.New("the backend of the election has no leases of other names")

// HasNamedLeases reports whether the backend has leases of any name, as Redis does. On Kubernetes the role of the
// service account lists the names, and with static there are no leases.
func (e *elector) HasNamedLeases() bool { return e.config.Redis != nil }

// LeadBeside is Lead for a lease that a leader holds beside another one; it is not balanced over the replicas. It
// returns an error at once where HasNamedLeases is false.
func (e *elector) LeadBeside(
	ctx context.Context, name string, work func(ctx context.Context, fence uint64) error,
) error {
	backend, ok := e.backend.(namedBackend)
	if !ok || !e.HasNamedLeases() {
		return errNoNamedLeases
	}
	return backend.LeadBeside(ctx, name, work)
}

// LeaseDuration returns how long a lease lasts without a renewal.
func (e *elector) LeaseDuration() time.Duration { return e.config.LeaseDuration }

// Identity returns the name of this process in the leases.
func (e *elector) Identity() string { return e.identity }

// DescribeLease returns a sentence for an operator: which replica holds the lease called name, or why that is not
// known, and what to do about it.
func (e *elector) DescribeLease(name string) string {
	state := e.status.leaseState(name)
	if e.config.Static != nil {
		return e.describeStatic()
	}
	full := name
	if e.leaseName != nil {
		full = e.leaseName(name)
	}
	switch {
	case state.backendErr != nil:
		return fmt.Sprintf(
			"the lease %q cannot be acquired: %v: check the settings of %s and the rights of its account",
			full,
			state.backendErr,
			e.settings.ID,
		)
	case state.leads:
		return fmt.Sprintf("this replica, %q, holds the lease %q", e.identity, full)
	case state.holder != "":
		return fmt.Sprintf(
			"the lease %q is held by %q: if that process is of another deployment, %s",
			full,
			state.holder,
			e.separateRemedy(),
		)
	default:
		return fmt.Sprintf("the lease %q has not been acquired yet", full)
	}
}

// describeStatic returns which role the configuration gives this replica.
func (e *elector) describeStatic() string {
	if e.config.Static.Role == roleLeader {
		return "static::role is leader here"
	}
	return "static::role is follower here: one replica must have static::role: leader"
}

// separateRemedy returns how deployments get leases of their own.
func (e *elector) separateRemedy() string {
	if e.config.Kubernetes != nil {
		return "give each deployment a kubernetes::lease_name of its own"
	}
	return "give each deployment a redis::key_prefix or a receiver name of its own"
}
