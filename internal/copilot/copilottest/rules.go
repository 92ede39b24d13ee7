// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package copilottest

import (
	"net/http"
	"strings"
)

// State replaces the response of an endpoint.
type State string

// The states of a report that is not there yet, and of refusals.
const (
	NoContent          State = "204"
	DayRefused         State = "400"
	NotFound           State = "404"
	Sentence           State = "200 with a sentence"
	EmptyBody          State = "200 without a body"
	NoLinks            State = "200 without links"
	BadGateway         State = "502"
	ServiceUnavailable State = "503"
	PolicyDisabled     State = "403 by the policy"
	RoleRequired       State = "403 without a role"
	PermissionRequired State = "403 without a permission"
	OtherForbidden     State = "403"
	BadCredentials     State = "401"
	ServerError        State = "500"
	HTMLPage           State = "200 with HTML"
	TruncatedBody      State = "200 with half a body"
	RateLimited        State = "429"
)

// response is a status with a body.
type response struct {
	status int
	body   string
}

func message(status int, text string) response {
	return response{status, `{"message":"` + text + `","documentation_url":"https://docs.github.com/rest"}`}
}

// stateResponses are the responses of the states. Their texts are GitHub's.
var stateResponses = map[State]response{
	NoContent:          {http.StatusNoContent, ""},
	DayRefused:         message(http.StatusBadRequest, "The day must be within the last year and not in the future."),
	NotFound:           message(http.StatusNotFound, "Not Found"),
	Sentence:           {http.StatusOK, `"No report is available for this day."`},
	EmptyBody:          {http.StatusOK, ""},
	NoLinks:            {http.StatusOK, `{"download_links":[]}`},
	BadGateway:         {http.StatusBadGateway, "<html><body>502 Bad Gateway</body></html>"},
	ServiceUnavailable: message(http.StatusServiceUnavailable, "Service Unavailable"),
	PolicyDisabled:     message(http.StatusForbidden, "The Copilot usage metrics policy is not enabled."),
	RoleRequired:       message(http.StatusForbidden, "This endpoint requires admin or relevant organization role."),
	PermissionRequired: message(http.StatusForbidden, "Resource not accessible by integration"),
	OtherForbidden:     message(http.StatusForbidden, "Forbidden"),
	BadCredentials:     message(http.StatusUnauthorized, "Bad credentials"),
	ServerError:        message(http.StatusInternalServerError, "Server Error"),
	HTMLPage:           {http.StatusOK, "<!DOCTYPE html><html><body>Unicorn!</body></html>"},
	TruncatedBody:      {http.StatusOK, `{"download_links":["https://copilot-rep`},
	RateLimited:        message(http.StatusTooManyRequests, "You have exceeded a secondary rate limit."),
}

// LinkFault replaces a link.
type LinkFault string

// The links.
const (
	PlainLink     LinkFault = "http"
	LoopbackLink  LinkFault = "127.0.0.1"
	PrivateLink   LinkFault = "private address"
	UnlistedLink  LinkFault = "a host that is not on the list"
	ExpiredLink   LinkFault = "expired"
	LinkWithUser  LinkFault = "a user in the link"
	RelativeLink  LinkFault = "a path without a host"
	LinkNotThere  LinkFault = "a file that is not there"
	LinkWithError LinkFault = "a file that is answered with 500"
	LinkIsBusy    LinkFault = "a file that is answered with 503"
	LocalhostLink LinkFault = "a name with a private address"
	HangingLink   LinkFault = "a file that never ends"
	RefusedLink   LinkFault = "a port without a server"
	// UnlistedRedirect and LoopbackRedirect are links to redirects.
	UnlistedRedirect LinkFault = "a redirect off the list"
	LoopbackRedirect LinkFault = "a redirect to 127.0.0.1"
)

// FileFault replaces the content of the last file of a report.
type FileFault string

// The contents. Those of the first group are valid.
const (
	ByteOrderMark   FileFault = "a byte order mark"
	Gzip            FileFault = "gzip"
	CarriageReturns FileFault = "CRLF"
	NoLastLineFeed  FileFault = "no last line feed"
	Array           FileFault = "an array"
	UnknownFields   FileFault = "unknown fields and values"
	DuplicateRows   FileFault = "each row twice"
	NumbersForIDs   FileFault = "ids as numbers"
	WideRow         FileFault = "a row of 10 MB"
	OtherDays       FileFault = "rows of other days"

	Truncated       FileFault = "half a file"
	ShortBody       FileFault = "a body shorter than its length"
	HTML            FileFault = "HTML"
	XMLError        FileFault = "an XML error with status 200"
	UTF16           FileFault = "UTF-16"
	Latin1          FileFault = "Latin-1"
	BrokenRow       FileFault = "a row that is not JSON"
	LongRow         FileFault = "a row of 20 MB"
	NegativeNumbers FileFault = "negative numbers"
	HugeNumbers     FileFault = "1e300"
	Nested          FileFault = "nested 100,000 deep"
	EmptyFile       FileFault = "no bytes"
	SentenceFile    FileFault = "a sentence"
	BrokenGzip      FileFault = "gzip with a wrong checksum"
)

// Rule changes what matching requests get. Exactly one of State, Link and File is set.
type Rule struct {
	// Endpoint, Owner and Day match a request; an empty one matches all.
	Endpoint, Owner, Day string
	// Times is how many requests are changed, 0 for all.
	Times int

	State State
	Link  LinkFault
	File  FileFault

	used int
}

// AddRule adds a rule. Of several rules that match, the first one counts.
func (s *Server) AddRule(rule Rule) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rules = append(s.rules, &rule)
}

// ClearRules removes all rules.
func (s *Server) ClearRules() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rules = nil
}

// ruleFor returns the first rule that matches, or nil, and counts its use. The caller holds the lock.
func (s *Server) ruleFor(endpoint, owner, day string) *Rule {
	for _, rule := range s.rules {
		if (rule.Endpoint == "" || rule.Endpoint == endpoint) && (rule.Day == "" || rule.Day == day) &&
			(rule.Owner == "" || strings.EqualFold(rule.Owner, owner)) && (rule.Times == 0 || rule.used < rule.Times) {
			rule.used++
			return rule
		}
	}
	return nil
}
