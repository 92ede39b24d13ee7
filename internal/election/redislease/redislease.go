// Package redislease keeps leases in Redis: a lock with an expiry, and a fence that never expires.
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

// The scripts compare and change in one step.
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

// Settings are a leaser's.
type Settings struct {
	// Prefix begins the names of all keys.
	Prefix string
	// Identity tells this process from all others.
	Identity string
	// Duration is how long a lease is held without being renewed.
	Duration time.Duration
}

// Leaser keeps leases in Redis. It does not own its client.
type Leaser struct {
	client   redis.UniversalClient
	settings Settings
}

var (
	_ election.Leaser = (*Leaser)(nil)
	_ election.Roster = (*Leaser)(nil)
)

// New makes a leaser.
func New(client redis.UniversalClient, settings Settings) *Leaser {
	return &Leaser{client: client, settings: settings}
}

// LeaseName is the name of a lease in the keys: "leader" for the one without a name.
func LeaseName(name string) string {
	if name == "" {
		return "leader"
	}
	return name
}

// leaseKeys are the lock and the fence of a lease, on one node of a cluster.
func (l *Leaser) leaseKeys(name string) []string {
	prefix, lease := rediskeys.Prefix(l.settings.Prefix), LeaseName(name)
	return []string{prefix.Lease(lease, "holder"), prefix.Lease(lease, "fence")}
}

// Acquire implements election.Leaser.
func (l *Leaser) Acquire(ctx context.Context, name string) (election.Term, error) {
	answer, err := acquireScript.Run(ctx, l.client, l.leaseKeys(name),
		l.settings.Identity, l.settings.Duration.Milliseconds(), election.FenceAt(time.Unix(1, 0))).StringSlice()
	if err != nil {
		return election.Term{}, fmt.Errorf("redis: acquire a lease: %w", err)
	}
	if len(answer) != 2 {
		return election.Term{}, heldError(answer)
	}
	fence, err := strconv.ParseUint(answer[0], 10, 64)
	if err != nil {
		return election.Term{}, fmt.Errorf("redis: the fence of a lease: %w", err)
	}
	return election.Term{Name: name, Fence: fence, Token: answer[1]}, nil
}

// heldError is the error of a lease that another term holds, by its token: the identity, a slash and the fence.
func heldError(answer []string) error {
	if len(answer) == 0 {
		return election.ErrHeld
	}
	holder, _, _ := strings.Cut(answer[0], "/")
	return &election.HeldError{Holder: holder}
}

// Renew implements election.Leaser.
func (l *Leaser) Renew(ctx context.Context, t election.Term) error {
	held, err := renewScript.Run(ctx, l.client, l.leaseKeys(t.Name)[:1], t.Token, l.settings.Duration.Milliseconds()).Int()
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
	answer, err := announceScript.Run(ctx, l.client, []string{key},
		l.settings.Identity, held, l.settings.Duration.Milliseconds()).StringSlice()
	if err != nil {
		return nil, fmt.Errorf("redis: announce what is held: %w", err)
	}
	var errs []error
	for _, text := range answer {
		n, err := strconv.Atoi(text)
		others, errs = append(others, n), append(errs, err)
	}
	return others, errors.Join(errs...)
}
