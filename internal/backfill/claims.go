package backfill

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
)

// Claim says that a job is under way for a window, so that no second one is published.
type Claim struct {
	// ID is the job's.
	ID      string           `json:"id"`
	RepoID  int64            `json:"repo_id"`
	Streams activity.Streams `json:"streams"`
	Start   time.Time        `json:"from"`
	End     time.Time        `json:"until"`
	// PublishedAt is when the job was, Seen when there was the last sign of it.
	PublishedAt time.Time `json:"published"`
	RefreshedAt time.Time `json:"seen"`
	// Retrying says that the job has failed or was put off: what is missed after its window waits for it, so that what fails for
	// long does not make a job for every step. Dead says that it waits for an operator.
	Retrying     bool `json:"open,omitempty"`
	DeadLettered bool `json:"dead,omitempty"`
	// LostBefore is how many jobs for the window, one after the other, the queue confirmed before this one and never
	// delivered.
	LostBefore int `json:"lost,omitempty"`
}

// isDelivered reports whether a worker has had the job.
func (c *Claim) isDelivered() bool {
	return c.Retrying || c.DeadLettered || !c.RefreshedAt.Equal(c.PublishedAt)
}

// farFuture is an end of windows that have none.
var farFuture = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)

// coveredWindow is what needs no further job.
func (c *Claim) coveredWindow() activity.Window {
	if c.Retrying || c.DeadLettered {
		return activity.Window{Start: c.Start, End: farFuture}
	}
	return activity.Window{Start: c.Start, End: c.End}
}

// newClaim is a job's claim.
func newClaim(j *Job) Claim {
	return Claim{
		ID: j.ID, RepoID: j.RepoID, Streams: j.Streams, Start: j.Window.Start, End: j.Window.End,
		PublishedAt: j.CreatedAt, RefreshedAt: j.CreatedAt, Retrying: j.Attempt > 1,
	}
}

// Claims keeps claims where all replicas see them, at least as long as the queue keeps the jobs. A claim that is lost costs
// a second job at most.
type Claims interface {
	// List gives the organization's claims.
	List(ctx context.Context, org string) ([]Claim, error)
	// Put sets claims.
	Put(ctx context.Context, org string, claims []Claim) error
	// Delete takes claims away.
	Delete(ctx context.Context, org string, ids []string) error
}

// LocalClaims are claims of one process. The zero value is ready.
type LocalClaims struct {
	mu   sync.Mutex
	orgs map[string]map[string]Claim
}

// List implements Claims.
func (c *LocalClaims) List(_ context.Context, org string) ([]Claim, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Collect(maps.Values(c.orgs[org])), nil
}

// Put implements Claims.
func (c *LocalClaims) Put(_ context.Context, org string, claims []Claim) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.orgs == nil {
		c.orgs = make(map[string]map[string]Claim)
	}
	if c.orgs[org] == nil {
		c.orgs[org] = make(map[string]Claim)
	}
	for _, claim := range claims {
		c.orgs[org][claim.ID] = claim
	}
	return nil
}

// Delete implements Claims.
func (c *LocalClaims) Delete(_ context.Context, org string, ids []string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, id := range ids {
		delete(c.orgs[org], id)
	}
	return nil
}
