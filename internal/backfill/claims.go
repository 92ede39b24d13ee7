// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package backfill

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
)

// Claim reserves a window for a job that is in progress, so that the dispatcher publishes no second one.
//
// Its JSON is a stored format, from one release to the next: a key keeps its meaning for ever, readers ignore keys that
// they do not have, and an absent key is the zero value.
//
//	id        of the job
//	repo_id   GitHub's id of the repository
//	streams   bits of activity.Streams
//	from      start of the window, RFC 3339 in UTC
//	until     end of the window, not included
//	published time of publishing
//	seen      time of the last refresh
//	open      the job is between two attempts
//	dead      the job is a dead letter
//	lost      number of jobs lost before
//	report    of a job with a source: the source and the name of the report; repo_id is 0 and streams mean nothing
type Claim struct {
	ID      string           `json:"id"`
	RepoID  int64            `json:"repo_id"`
	Streams activity.Streams `json:"streams"`
	Start   time.Time        `json:"from"`
	End     time.Time        `json:"until"`
	// RefreshedAt equals PublishedAt until a worker receives the job.
	PublishedAt time.Time `json:"published"`
	RefreshedAt time.Time `json:"seen"`
	// Retrying says that the job has failed or was deferred. The claim then covers later gaps, too, so that a stream
	// that fails for hours does not get a job for every step. DeadLettered says that only an operator delivers the job
	// again.
	Retrying     bool `json:"open,omitempty"`
	DeadLettered bool `json:"dead,omitempty"`
	// LostBefore is the number of jobs in a row for the window that the queue confirmed before this one and never
	// delivered.
	LostBefore int `json:"lost,omitempty"`
	// Report identifies what a job with a source reads; empty for a repository's streams.
	Report string `json:"report,omitempty"`
}

// isDelivered reports whether a worker has received the job.
func (c *Claim) isDelivered() bool {
	return c.Retrying || c.DeadLettered || !c.RefreshedAt.Equal(c.PublishedAt)
}

// farFuture is the end of a window without an end.
var farFuture = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)

// coveredWindow returns the window that needs no further job while the claim exists.
func (c *Claim) coveredWindow() activity.Window {
	if c.Retrying || c.DeadLettered {
		return activity.Window{Start: c.Start, End: farFuture}
	}
	return activity.Window{Start: c.Start, End: c.End}
}

// newClaim returns the claim of a job that was just published.
func newClaim(j *Job) Claim {
	return Claim{
		ID: j.ID, RepoID: j.RepoID, Streams: j.Streams, Start: j.Window.Start, End: j.Window.End,
		PublishedAt: j.CreatedAt, RefreshedAt: j.CreatedAt, Retrying: j.Attempt > 1,
		Report: reportKey(j.Source, j.Repo),
	}
}

// reportKey identifies a report in claims; empty without a source.
func reportKey(source, name string) string {
	if source == "" {
		return ""
	}
	return source + "/" + name
}

// claimsByRepo groups claims by the id of their repository.
func claimsByRepo(claims []Claim) map[int64][]Claim {
	m := make(map[int64][]Claim)
	for i := range claims {
		m[claims[i].RepoID] = append(m[claims[i].RepoID], claims[i])
	}
	return m
}

// Claims stores the claims of all replicas, at least as long as the queue stores the jobs. A claim that is lost costs
// at most a second job for the window. Implementations are safe for concurrent use.
type Claims interface {
	// List returns the organization's claims, in no order.
	List(ctx context.Context, org string) ([]Claim, error)
	// Put writes claims, replacing those with the same ids.
	Put(ctx context.Context, org string, claims []Claim) error
	// Delete removes claims. Ids without a claim are ignored.
	Delete(ctx context.Context, org string, ids []string) error
}

// LocalClaims stores claims in this process. The zero value is ready to use.
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
