// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package collect

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/github"
	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest"
	"github.com/seed-358c4d9d/githubexporter/internal/github/transport"
)

// TestRandomListings: whatever repositories appear, leave, are renamed, hidden or transferred while they are listed,
// those that existed all the time are recorded afterwards, and none that never existed. GX_SEEDS is the number of
// organizations with each API.
func TestRandomListings(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		for seed := range numSeeds(t, 4) {
			t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) {
				t.Parallel()
				r := newChangingOrg(t, api, seed)
				for range 12 {
					r.passWhileChanging()
				}
			})
		}
	})
}

// changingOrg is an organization whose repositories change at random.
type changingOrg struct {
	*bench

	api github.API

	mu                sync.Mutex // guards the fields below, which requests change
	rnd               *rand.Rand
	requestsPerChange int // one of so many requests makes a change; 0 for none
	made              int
	// stayed are the repositories that have existed since the round began, names all names that they had meanwhile.
	stayed map[int64]bool
	names  map[int64]map[string]bool
}

func newChangingOrg(t *testing.T, api github.API, seed uint64) *changingOrg {
	t.Helper()
	r := &changingOrg{api: api, rnd: rand.New(rand.NewPCG(seed, 5))}
	data := newDataset()
	for range 130 + r.rnd.IntN(250) {
		r.create(data)
	}
	r.bench = newInProcessBench(t, api, data, func(s *githubtest.Settings, _ *transport.Settings, _ *Settings) {
		s.Credentials = []githubtest.Credential{{Name: "default", Token: githubtest.DefaultToken, PublicOnly: true}}
	})
	r.server.OnRequest(func(githubtest.RequestInfo) {
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.requestsPerChange > 0 && r.rnd.IntN(r.requestsPerChange) == 0 {
			r.server.Update(r.change)
		}
	})
	return r
}

// create makes a repository at a random position of the listing, hidden or not.
func (r *changingOrg) create(d *githubtest.Dataset) {
	r.made++
	d.Repos = append(d.Repos, githubtest.Repo{
		Name: fmt.Sprintf("repo-%d", r.made), DefaultBranch: "main", ID: int64(1000 + r.made),
		Private:   r.rnd.IntN(3) == 0,
		CreatedAt: noon.AddDate(-1, 0, 0).Add(time.Duration(r.rnd.IntN(100)) * time.Hour),
	})
}

// change changes one repository at random.
func (r *changingOrg) change(d *githubtest.Dataset) {
	for range 1 + r.rnd.IntN(5) {
		repo := &d.Repos[r.rnd.IntN(len(d.Repos))]
		switch r.rnd.IntN(6) {
		case 0:
			r.made++
			d.Rename(repo.Name, fmt.Sprintf("repo-%d", r.made))
		case 1:
			if repo.TransferredTo == "" {
				repo.TransferredTo = "elsewhere"
			} else {
				repo.TransferredTo = ""
			}
		case 2, 3:
			repo.Private = !repo.Private
		case 4:
			d.RemoveRepo(repo.Name)
		default:
			r.create(d)
		}
	}
	r.recordVisible(d)
}

// recordVisible records which repositories the credential can see now.
func (r *changingOrg) recordVisible(d *githubtest.Dataset) {
	now := make(map[int64]bool)
	for i := range d.Repos {
		repo := &d.Repos[i]
		if repo.TransferredTo != "" || repo.Private {
			continue
		}
		now[repo.ID] = true
		if r.names[repo.ID] == nil {
			r.names[repo.ID] = make(map[string]bool)
		}
		r.names[repo.ID][repo.Name] = true
	}
	if r.stayed == nil {
		r.stayed = now
	}
	for id := range r.stayed {
		if !now[id] {
			delete(r.stayed, id)
		}
	}
}

// passWhileChanging makes a pass while repositories change.
func (r *changingOrg) passWhileChanging() {
	r.mu.Lock()
	r.names, r.stayed = make(map[int64]map[string]bool), make(map[int64]bool)
	r.requestsPerChange = []int{0, 1, 3, 10}[r.rnd.IntN(4)]
	r.server.Update(func(d *githubtest.Dataset) {
		r.change(d)
		clear(r.names)
		r.stayed = nil
		r.recordVisible(d)
	})
	r.mu.Unlock()
	r.clock.Advance(interval)
	before := r.coverage()
	result := r.pass()
	cov := r.coverage()
	for id := range r.stayed {
		known, had := cov.Repos[id], before.Repos[id]
		if r.api == github.APIREST && (had == nil || had.IsGone()) {
			continue // one that is new, or back, may move between two pages: it is found with the next pass
		}
		require.NotNil(r.t, known, "%d was there all the time", id)
		require.False(r.t, known.IsGone(), "%d was there all the time", id)
	}
	for id, known := range cov.Repos {
		if !known.IsGone() && result.Status != PassPartial && !r.collector.unseen[id] {
			require.True(r.t, r.names[id][known.Name], "%d was not called %s but %v", id, known.Name, r.names[id])
		}
	}
}
