// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

// Package redislease stores leases in Redis: a lock with an expiry, and a fence without one.
//
//	key                                    type    value
//	<prefix>:1:{lease/<name>}:holder       string  token of the term, "<identity>/<fence>"; expires with the lease
//	<prefix>:1:{lease/<name>}:fence        string  decimal fence of the last term; never expires
//	<prefix>:1:replicas                    hash    identity to "<held leases> <expiry in ms of Redis's clock>"
//
// The 1 is the version of the layout; <name> is the name of LeaseName. Each script has its KEYS, ARGV and result at its
// head.
package redislease

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/seed-358c4d9d/githubexporter/internal/election"
	"github.com/seed-358c4d9d/githubexporter/internal/rediskeys"
)

// The scripts compare and change atomically.
var (
	//go:embed acquire.lua
	acquireSource string
	//go:embed renew.lua
	renewSource string
	//go:embed release.lua
	releaseSource string
	//go:embed announce.lua
	announceSource string

	acquireScript  = redis.NewScript(acquireSource)
	renewScript    = redis.NewScript(renewSource)
	releaseScript  = redis.NewScript(releaseSource)
	announceScript = redis.NewScript(announceSource)
)

// Settings configure a Leaser.
type Settings struct {
	// Prefix is the first part of the names of all keys.
	Prefix string
	// Identity names this process; no other process, before or after it, has the same.
	Identity string
	// Duration is how long a lease lasts without a renewal.
	Duration time.Duration
}

// Leaser stores leases in Redis. It is safe for concurrent use and does not own its client.
type Leaser struct {
	client   redis.UniversalClient
	settings Settings
}

var (
	_ election.Leaser = (*Leaser)(nil)
	_ election.Roster = (*Leaser)(nil)
)

// New returns a Leaser that uses client.
func New(client redis.UniversalClient, settings Settings) *Leaser {
	return &Leaser{client: client, settings: settings}
}

// LeaseName returns the name of a lease in the keys: "leader" for the lease without a name.
func LeaseName(name string) string {
	if name == "" {
		return "leader"
	}
	return name
}

// leaseKeys returns the names of the holder and of the fence of a lease. Their common hash tag keeps them on one node
// of a cluster.
func (l *Leaser) leaseKeys(name string) []string {
	prefix, lease := rediskeys.Prefix(l.settings.Prefix), LeaseName(name)
	return []string{prefix.Lease(lease, "holder"), prefix.Lease(lease, "fence")}
}

// Acquire implements election.Leaser.
func (l *Leaser) Acquire(ctx context.Context, name string) (election.Term, error) {
	reply, err := acquireScript.Run(ctx, l.client, l.leaseKeys(name),
		l.settings.Identity, l.settings.Duration.Milliseconds(), election.FenceAt(time.Unix(1, 0))).StringSlice()
	if err != nil {
		return election.Term{}, fmt.Errorf("redis: acquire a lease: %w", err)
	}
	if len(reply) != 2 {
		return election.Term{}, heldError(reply)
	}
	fence, err := strconv.ParseUint(reply[0], 10, 64)
	if err != nil {
		return election.Term{}, fmt.Errorf("redis: the fence of a lease: %w", err)
	}
	return election.Term{Name: name, Fence: fence, Token: reply[1]}, nil
}

// heldError returns the error of a lease that another term holds, from the token of that term.
func heldError(reply []string) error {
	if len(reply) == 0 {
		return election.ErrHeld
	}
	holder, _, _ := strings.Cut(reply[0], "/")
	return &election.HeldError{Holder: holder}
}

// Renew implements election.Leaser.
func (l *Leaser) Renew(ctx context.Context, t election.Term) error {
	held, err := renewScript.Run(
		ctx,
		l.client,
		l.leaseKeys(t.Name)[:1],
		t.Token,
		l.settings.Duration.Milliseconds(),
	).Int()
	if err != nil {
		return fmt.Errorf("redis: renew a lease: %w", err)
	}
	if held == 0 {
		return election.ErrLost
	}
	return nil
}

// Release implements election.Leaser.
func (l *Leaser) Release(ctx context.Context, t election.Term) error {
	if err := releaseScript.Run(ctx, l.client, l.leaseKeys(t.Name)[:1], t.Token).Err(); err != nil {
		return fmt.Errorf("redis: release a lease: %w", err)
	}
	return nil
}

// Announce implements election.Roster.
func (l *Leaser) Announce(ctx context.Context, held int) (others []int, err error) {
	key := rediskeys.Prefix(l.settings.Prefix).Deployment("replicas")
	reply, err := announceScript.Run(ctx, l.client, []string{key},
		l.settings.Identity, held, l.settings.Duration.Milliseconds()).StringSlice()
	if err != nil {
		return nil, fmt.Errorf("redis: announce the held leases: %w", err)
	}
	var errs []error
	for _, text := range reply {
		n, err := strconv.Atoi(text)
		others, errs = append(others, n), append(errs, err)
	}
	return others, errors.Join(errs...)
}
