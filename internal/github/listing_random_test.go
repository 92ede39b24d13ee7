// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package github

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/github/budget"
	"github.com/seed-358c4d9d/githubexporter/internal/github/transport"
)

// shifting is a listing of repositories that changes at random while it is read.
type shifting struct {
	mu     sync.Mutex
	random *rand.Rand
	rows   []position
	next   int64
	// calm is how many requests there are between two changes; 0 for no changes.
	calm     int
	requests int
	stayed   map[int64]bool // the repositories that were there all the time
}

func newShifting(seed uint64, repositories, calm int) *shifting {
	s := &shifting{random: rand.New(rand.NewPCG(seed, 9)), calm: calm, next: 1}
	for range repositories {
		s.appear()
	}
	return s
}

// appear adds a repository of any age; many have the same one.
func (s *shifting) appear() {
	row := position{time.Unix(1_600_000_000+int64(s.random.IntN(50)), 0).UTC(), s.next}
	s.next++
	i, _ := slices.BinarySearchFunc(s.rows, row, comparePositions)
	s.rows = slices.Insert(s.rows, i, row)
}

func comparePositions(a, b position) int {
	return cmp.Or(a.created.Compare(b.created), cmp.Compare(a.id, b.id))
}

func (s *shifting) change() {
	for range s.random.IntN(4) {
		if s.random.IntN(2) == 0 || len(s.rows) == 0 {
			s.appear()
			continue
		}
		i := s.random.IntN(len(s.rows))
		delete(s.stayed, s.rows[i].id)
		s.rows = slices.Delete(s.rows, i, i+1)
	}
}

// startPass notes who is there.
func (s *shifting) startPass() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests, s.stayed = 0, make(map[int64]bool, len(s.rows))
	for _, row := range s.rows {
		s.stayed[row.id] = true
	}
}

func (s *shifting) RoundTrip(request *http.Request) (*http.Response, error) {
	var asked struct {
		Variables struct {
			First int
			After *string
		}
	}
	if err := json.NewDecoder(request.Body).Decode(&asked); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.requests++; s.calm > 0 && s.requests%s.calm == 0 {
		s.change()
	}
	body, err := json.Marshal(s.page(asked.Variables.First, asked.Variables.After))
	return &http.Response{
		StatusCode: http.StatusOK, Body: io.NopCloser(bytes.NewReader(body)), Request: request, ProtoMajor: 1,
		ProtoMinor: 1,
		Header:     http.Header{"Content-Type": {"application/json"}},
	}, err
}

func (s *shifting) page(first int, after *string) any {
	from := 0
	if after != nil {
		var behind position
		var created int64
		_, _ = fmt.Sscanf(*after, "%d/%d", &created, &behind.id)
		behind.created = time.Unix(created, 0).UTC()
		from, _ = slices.BinarySearchFunc(s.rows, behind, comparePositions)
		if from < len(s.rows) && s.rows[from] == behind {
			from++
		}
	}
	rows := s.rows[from:min(from+first, len(s.rows))]
	nodes := make([]map[string]any, 0, len(rows))
	for _, row := range rows {
		id := strconv.FormatInt(row.id, 10)
		nodes = append(nodes, map[string]any{
			"id": "R_" + id, "databaseId": row.id, "name": "repo-" + id,
			"createdAt": row.created,
		})
	}
	info := map[string]any{"hasNextPage": from+first < len(s.rows), "endCursor": nil}
	if n := len(rows); n > 0 {
		info["endCursor"] = fmt.Sprintf("%d/%d", rows[n-1].created.Unix(), rows[n-1].id)
	}
	return map[string]any{"data": map[string]any{"organization": map[string]any{"repositories": map[string]any{
		"pageInfo": info,
		"nodes":    nodes,
	}}}}
}

// listed makes several discoveries of a listing. Each shows every repository that was there during all of it; and when
// nothing changed meanwhile each shows every one once, and the second costs no more pages than there are.
func listed(t *testing.T, seed uint64, repositories, calm int) {
	t.Helper()
	s := newShifting(seed, repositories, calm)
	requests, err := transport.New(transport.Settings{
		HTTP: &http.Client{Transport: s}, Endpoint: "https://api.github.example",
		Retry: transport.RetrySettings{MaxAttempts: 1}, RateLimit: budget.Policy{MaxConcurrentRequests: 8},
		Now: func() time.Time { return time.Unix(1_770_000_000, 0) },
	})
	require.NoError(t, err)
	client := New(requests, Settings{})
	client.state.pageSize.index = len(client.state.pageSize.sizes) - 1
	for range 6 {
		s.startPass()
		if calm == 0 {
			// it grows
			client.state.pageSize.index, client.state.pageSize.successes = len(client.state.pageSize.sizes)-1, 0
		}
		shown := make(map[int64]int)
		require.NoError(t, client.Discover(t.Context(), "acme", func(page []activity.Repository) error {
			for i := range page {
				shown[page[i].ID]++
			}
			return nil
		}))
		for id := range s.stayed {
			require.Positive(t, shown[id], "seed %d: repository %d", seed, id)
		}
		if calm == 0 {
			require.Len(t, shown, repositories)
			require.LessOrEqual(t, s.requests, max(1,
				(repositories+client.state.pageSize.smallest()-1)/client.state.pageSize.smallest()))
		}
		require.Less(t, s.requests, 3*(len(s.rows)+repositories)/client.state.pageSize.smallest()+10, "seed %d", seed)
	}
}

// TestRandomListings are read completely, whatever happens to them meanwhile.
func TestRandomListings(t *testing.T) {
	t.Parallel()
	for seed := range uint64(300) {
		listed(t, seed, int(seed%97), int(seed%5))
	}
}

// FuzzListing: so is any.
func FuzzListing(f *testing.F) {
	f.Add(uint64(1), 40, 2)
	f.Fuzz(func(t *testing.T, seed uint64, repositories, calm int) {
		listed(t, seed, repositories&0xff, calm&0x7)
	})
}
