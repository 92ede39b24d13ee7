// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubtest

import (
	"crypto/rsa"
	"time"
)

// Update changes the data of the first organization while the server runs. A request sees all of the change or nothing.
func (s *Server) Update(change func(*Dataset)) { s.content.update("", change) }

// UpdateOrg changes the data of an organization as Update does. It panics when the server has none of that login.
func (s *Server) UpdateOrg(login string, change func(*Dataset)) { s.content.update(login, change) }

// HideAfter hides everything dated after a served time until ShowAll.
func (s *Server) HideAfter(until time.Time) { s.content.hideAfter(until) }

// ShowAll shows again what HideAfter has hidden.
func (s *Server) ShowAll() { s.content.hideAfter(time.Time{}) }

// AddCredential accepts a further token, or replaces what a token may read.
func (s *Server) AddCredential(c Credential) { s.credentials.add(c) }

// RevokeToken makes a token unknown.
func (s *Server) RevokeToken(token string) { s.credentials.remove(token) }

// ReplaceAppKey replaces the public key that verifies the tokens of an App. It panics when there is no App of that id.
func (s *Server) ReplaceAppKey(id int64, key *rsa.PublicKey) { s.credentials.setAppKey(id, key) }

// InjectFault makes a fault take effect. Of several that match a request, the first one does.
func (s *Server) InjectFault(f Fault) *ArmedFault { return s.faults.add(f) }

// ClearFaults ends all faults.
func (s *Server) ClearFaults() { s.faults.clear() }

// SetUsed sets how many points of a rate limit a credential has used, so that a test comes near the limit without many
// requests.
func (s *Server) SetUsed(credential, resource string, used int) {
	s.limits.setUsed(bucketKey{s.credentials.bucketOf(credential), resource}, used, s.now())
}

// OnRequest adds a function that is called with each request before it is answered, on the goroutine of the request, so
// that a test can change the data between two pages. Functions are called in the order of the calls of OnRequest.
func (s *Server) OnRequest(f func(RequestInfo)) { s.log.addHook(f) }

// Requests returns the answered requests, the oldest first, at most Settings.KeepRequests.
func (s *Server) Requests() []RequestInfo { return s.log.newest() }

// CountRequests returns the number of the Requests that a function selects.
func (s *Server) CountRequests(selects func(RequestInfo) bool) int {
	n := 0
	for _, r := range s.Requests() {
		if selects(r) {
			n++
		}
	}
	return n
}

// PointsSpent returns how many points of a resource were charged.
func (s *Server) PointsSpent(resource string) int { return s.log.points(resource) }

// ResetRequests deletes the list of requests and their sums; limits and faults stay.
func (s *Server) ResetRequests() { s.log.reset() }

// Stats sums up the requests since the start or the last ResetRequests.
func (s *Server) Stats() Stats {
	st := Stats{Now: s.now().UTC(), Start: s.content.timeline.Start, Hold: s.content.hidden()}
	s.log.fillStats(&st)
	return st
}
