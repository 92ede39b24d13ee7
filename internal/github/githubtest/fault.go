// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubtest

import (
	"fmt"
	"slices"
	"strings"
	"sync"
)

// Fault has an Effect on the responses to some requests.
type Fault struct {
	Match Match `json:"match"`
	// Skip is the number of matching requests before the first effect.
	Skip int `json:"skip,omitempty"`
	// Every limits the effect to each n-th matching request after those; 0 and 1 mean all.
	Every int `json:"every,omitempty"`
	// Times is the number of effects, after which the fault has none; 0 is no limit.
	Times  int    `json:"times,omitempty"`
	Effect Effect `json:"do"`
}

// Match selects requests; an empty field selects all.
type Match struct {
	// Org and Repo are compared with those of RequestInfo in any case.
	Org  string `json:"org,omitempty"`
	Repo string `json:"repo,omitempty"`
	// Route is a template as in RequestInfo, Operation the name of an operation of GraphQL.
	Route      string `json:"route,omitempty"`
	Operation  string `json:"operation,omitempty"`
	Method     string `json:"method,omitempty"`
	Resource   string `json:"resource,omitempty"`
	Credential string `json:"credential,omitempty"`
	// Query is contained in the query string, like "page=2".
	Query string `json:"query,omitempty"`
	// Variables are values that a GraphQL query has: {"lines": true} chooses those for commits with their lines.
	Variables map[string]any `json:"variables,omitempty"`
	// Func is a further condition.
	Func func(RequestInfo) bool `json:"-"`
}

// matches reports whether the request is selected.
func (m Match) matches(r RequestInfo) bool {
	fold := func(want, got string) bool { return want == "" || strings.EqualFold(want, got) }
	same := func(want, got string) bool { return want == "" || want == got }
	return fold(m.Org, r.Org) && fold(m.Repo, r.Repo) && same(m.Route, r.Route) && same(m.Operation, r.Operation) &&
		fold(m.Method, r.Method) && same(m.Resource, r.Resource) && same(m.Credential, r.Credential) &&
		strings.Contains(r.Query, m.Query) && m.hasVariables(r) && (m.Func == nil || m.Func(r))
}

// hasVariables reports whether the request has the variables. It compares texts, so that a number of Go equals one of
// JSON.
func (m Match) hasVariables(r RequestInfo) bool {
	for name, want := range m.Variables {
		if got, ok := r.Variables[name]; !ok || fmt.Sprint(got) != fmt.Sprint(want) {
			return false
		}
	}
	return true
}

// ArmedFault is a fault of a server, until Disarm or ClearFaults.
type ArmedFault struct {
	fault Fault
	table *faultTable
	seen  int
	hits  int
}

// faultTable has the faults of a server, in the order in which they were injected.
type faultTable struct {
	mu    sync.Mutex
	armed []*ArmedFault
}

// Disarm ends the fault.
func (a *ArmedFault) Disarm() {
	a.table.mu.Lock()
	defer a.table.mu.Unlock()
	a.table.armed = slices.DeleteFunc(a.table.armed, func(o *ArmedFault) bool { return o == a })
}

// Hits returns how many requests the fault had its effect on.
func (a *ArmedFault) Hits() int {
	a.table.mu.Lock()
	defer a.table.mu.Unlock()
	return a.hits
}

// effectFor returns the effect on a request, nil for none, and counts it.
func (t *faultTable) effectFor(r RequestInfo) *Effect {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, a := range t.armed {
		if a.fault.Match.matches(r) && a.countMatch() {
			return &a.fault.Effect
		}
	}
	return nil
}

// countMatch counts a matching request, and reports whether the fault has its effect on it.
func (a *ArmedFault) countMatch() bool {
	a.seen++
	n := a.seen - a.fault.Skip
	if n <= 0 || a.fault.Every > 1 && n%a.fault.Every != 0 || a.fault.Times > 0 && a.hits >= a.fault.Times {
		return false
	}
	a.hits++
	return true
}

// add makes a fault take effect after those before it.
func (t *faultTable) add(f Fault) *ArmedFault {
	t.mu.Lock()
	defer t.mu.Unlock()
	a := &ArmedFault{fault: f, table: t}
	t.armed = append(t.armed, a)
	return a
}

// clear ends all faults.
func (t *faultTable) clear() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.armed = nil
}
