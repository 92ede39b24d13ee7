// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// State is what a response of the API says of a report.
type State uint8

// The states. From StateNoContent to StateGenerating the report is not there yet.
const (
	// StateReady has links.
	StateReady State = iota
	// StateNoContent is status 204: there is no report of that day.
	StateNoContent
	// StateDayRefused is status 400: the day is the present one, in the future, or older than a year.
	StateDayRefused
	// StateNotFound is status 404: a day without a report; also an unknown organization or enterprise, one that the
	// credential may not see, and a server without these reports.
	StateNotFound
	// StateNotice is status 200 with a sentence instead of an object: there is no report yet.
	StateNotice
	// StateEmpty is status 200 without a body, or without links: there is no report yet.
	StateEmpty
	// StateGenerating is status 502 or 503, which GitHub sends now and then while it makes a report.
	StateGenerating
	// StatePolicyDisabled is status 403: the policy "Copilot usage metrics" of the organization or enterprise is not
	// enabled.
	StatePolicyDisabled
	// StateRoleRequired is status 403: the person of the credential lacks a role.
	StateRoleRequired
	// StatePermissionRequired is status 403: the credential lacks a permission.
	StatePermissionRequired
	// StateForbidden is status 403 for another reason.
	StateForbidden
	// StateUnauthenticated is status 401: GitHub does not accept the credential.
	StateUnauthenticated
	// StateFailed is any other status.
	StateFailed
	// StateMalformed is status 200 with something else than links.
	StateMalformed
)

// NumStates is the number of states.
const NumStates = 14

var stateNames = [NumStates]string{
	"ready", "no_content", "day_refused", "not_found", "notice", "empty", "generating", "policy_disabled",
	"role_required", "permission_required", "forbidden", "unauthenticated", "failed", "malformed",
}

// String returns the state's name in metrics and logs.
func (s State) String() string { return stateNames[min(s, StateMalformed)] }

// States lists every state.
func States() []State {
	states := make([]State, NumStates)
	for i := range states {
		states[i] = State(i)
	}
	return states
}

// IsPending reports whether the report is not there yet, which is no failure: it may be there later.
func (s State) IsPending() bool { return StateNoContent <= s && s <= StateGenerating }

// IsRefused reports whether an administrator has to change a policy, a role or a permission before there are reports.
func (s State) IsRefused() bool { return StatePolicyDisabled <= s && s <= StateUnauthenticated }

// Links are where the files of a report are.
type Links struct {
	// URLs are signed: who has one can read the file for about an hour. They never belong in a log, an error, a trace
	// or a store, and go to no other host. A large report has several, each with a part of the time.
	URLs []string
	// Span is the report's window.
	Span Span
}

// String describes the links without their addresses.
func (l Links) String() string { return fmt.Sprintf("%d files of %s", len(l.URLs), l.Span) }

// GoString is String: links must not be printed in any form.
func (l Links) GoString() string { return l.String() }

const (
	// MaxLinksBody bounds the body of a response with links, in bytes.
	MaxLinksBody = 4 << 20
	// maxLinks bounds the files of a report, maxLink the length of a link in bytes.
	maxLinks = 1000
	maxLink  = 8 << 10
)

// linksBody is the body of a response: with the first and last day of a window, or with the day.
type linksBody struct {
	DownloadLinks []string `json:"download_links"`
	StartDay      Day      `json:"report_start_day"`
	EndDay        Day      `json:"report_end_day"`
	Day           Day      `json:"report_day"`
}

// ReadLinks interprets a response of one of the twelve endpoints by its status and body. There are links only with
// StateReady.
func ReadLinks(status int, body []byte) (Links, State) {
	switch status {
	case http.StatusOK:
		return parseLinks(body)
	case http.StatusNoContent:
		return Links{}, StateNoContent
	case http.StatusBadRequest, http.StatusUnprocessableEntity:
		return Links{}, StateDayRefused
	case http.StatusNotFound:
		return Links{}, StateNotFound
	case http.StatusBadGateway, http.StatusServiceUnavailable:
		return Links{}, StateGenerating
	case http.StatusForbidden:
		return Links{}, refusal(body)
	case http.StatusUnauthorized:
		return Links{}, StateUnauthenticated
	default:
		return Links{}, StateFailed
	}
}

func parseLinks(raw []byte) (Links, State) {
	raw = bytes.TrimSpace(bytes.TrimPrefix(raw, utf8Mark))
	switch {
	case len(raw) == 0, string(raw) == "null", string(raw) == "{}", string(raw) == "[]":
		return Links{}, StateEmpty
	case raw[0] == '"' && json.Valid(raw):
		return Links{}, StateNotice
	case raw[0] != '{':
		return Links{}, StateMalformed
	}
	var body linksBody
	if err := json.Unmarshal(raw, &body); err != nil {
		return Links{}, StateMalformed
	}
	if len(body.DownloadLinks) == 0 {
		return Links{}, StateEmpty
	}
	links := Links{URLs: body.DownloadLinks, Span: Span{body.StartDay, body.EndDay}}
	if body.Day != 0 {
		links.Span = Span{body.Day, body.Day}
	}
	if links.Span.Len() == 0 || len(links.URLs) > maxLinks || slices.ContainsFunc(links.URLs, isInvalidLink) {
		return Links{}, StateMalformed
	}
	return links, StateReady
}

// isInvalidLink reports whether a link is no URL with a host. Which hosts are allowed is for the download to decide.
func isInvalidLink(link string) bool {
	parsed, err := url.Parse(link)
	return err != nil || parsed.Host == "" || len(link) > maxLink
}

// refusalTexts are parts of GitHub's messages with status 403, in lower case. The first one counts: the message of a
// policy may say that an owner can change it.
var refusalTexts = []struct {
	part  string
	state State
}{
	{"resource not accessible", StatePermissionRequired}, // "... by integration", "... by personal access token"
	{"scope", StatePermissionRequired},
	{"policy", StatePolicyDisabled},
	{"disabled", StatePolicyDisabled},
	{"not enabled", StatePolicyDisabled},
	{"role", StateRoleRequired}, // "requires admin or relevant organization role"
	{"admin", StateRoleRequired},
	{"owner", StateRoleRequired},
	{"usage metrics", StatePolicyDisabled},
}

// maxMessage bounds GitHub's message, in bytes.
const maxMessage = 300

// Message returns what a response says in words, for logs: the message of an error, or the sentence in the place of a
// report. It is one line without control characters, and "" for others.
func Message(raw []byte) string {
	var body struct {
		Message string `json:"message"`
	}
	if json.Unmarshal(raw, &body) != nil && json.Unmarshal(raw, &body.Message) != nil {
		return ""
	}
	if strings.Contains(body.Message, "sig=") {
		return "" // a signed link
	}
	return cleanText(body.Message, maxMessage)
}

func refusal(raw []byte) State {
	message := strings.ToLower(Message(raw))
	for _, known := range refusalTexts {
		if strings.Contains(message, known.part) {
			return known.state
		}
	}
	return StateForbidden
}
