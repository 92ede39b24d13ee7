// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubtest

import (
	"maps"
	"slices"
	"sync"
	"time"
)

// RequestInfo describes a request, for Match, OnRequest and Requests.
type RequestInfo struct {
	// Seq counts all requests from 1.
	Seq  int
	Time time.Time
	// Method, Path and Query are those of the request.
	Method, Path, Query string
	// Route is GitHub's template of the path, like "/repos/{owner}/{repo}/pulls", also for an address by id; "/graphql"
	// for a query of GraphQL, empty for an unknown path.
	Route string
	// Operation is the name of a GraphQL operation, and Variables are its variables.
	Operation string
	Variables map[string]any
	// Org and Repo are those that the request names, empty where it names none.
	Org, Repo string
	// Credential is the name of the credential, empty for an unknown token.
	Credential string

	RequestResult
}

// RequestResult is what became of a request. Match and OnRequest see only its Resource.
type RequestResult struct {
	// Resource is the rate limit that was charged, and Cost the points.
	Resource string
	Cost     int
	// Status is the status of the response, 0 for none.
	Status int
	// Fault is the kind of the effect of a fault, empty for none.
	Fault EffectKind
}

// requestLog keeps the newest requests, at most maxEntries, and sums of all.
type requestLog struct {
	maxEntries int
	mu         sync.Mutex
	seq        int
	entries    []RequestInfo
	totals     requestTotals
	hooks      []func(RequestInfo)
}

// requestTotals are sums over requests: points by resource, requests by route and by status.
type requestTotals struct {
	requests, faults int
	points, routes   map[string]int
	statuses         map[int]int
}

// nextSeq returns the number of a new request, and the functions to call with it.
func (l *requestLog) nextSeq() (int, []func(RequestInfo)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.seq++
	return l.seq, l.hooks
}

func (l *requestLog) add(info RequestInfo) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.entries) >= l.maxEntries {
		l.entries = slices.Delete(l.entries, 0, len(l.entries)-l.maxEntries/2)
	}
	l.entries = append(l.entries, info)
	l.totals.add(info)
}

func (s *requestTotals) add(info RequestInfo) {
	if s.points == nil {
		s.points, s.routes, s.statuses = map[string]int{}, map[string]int{}, map[int]int{}
	}
	s.requests++
	s.points[info.Resource] += info.Cost
	s.routes[info.Route]++
	s.statuses[info.Status]++
	if info.Fault != "" {
		s.faults++
	}
}

func (l *requestLog) fillStats(st *Stats) {
	l.mu.Lock()
	defer l.mu.Unlock()
	st.Requests, st.Faults = l.totals.requests, l.totals.faults
	st.Points, st.Routes, st.Statuses = maps.Clone(l.totals.points), maps.Clone(l.totals.routes), maps.Clone(
		l.totals.statuses,
	)
}

// Stats sums up the requests since the start or the last ResetRequests.
type Stats struct {
	Now      time.Time      `json:"now"`
	Start    time.Time      `json:"start"`
	Hold     time.Time      `json:"hold,omitzero"`
	Requests int            `json:"requests"`
	Routes   map[string]int `json:"routes"`
	Points   map[string]int `json:"points"`
	Statuses map[int]int    `json:"statuses"`
	Faults   int            `json:"faults"`
}

// addHook adds a function to those of nextSeq.
func (l *requestLog) addHook(f func(RequestInfo)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.hooks = append(slices.Clip(l.hooks), f)
}

// newest returns the requests that are kept, the oldest first.
func (l *requestLog) newest() []RequestInfo {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.entries)
}

// points returns how many points of a resource were charged.
func (l *requestLog) points(resource string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.totals.points[resource]
}

// reset deletes the requests and their sums.
func (l *requestLog) reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.entries, l.totals = nil, requestTotals{}
}
