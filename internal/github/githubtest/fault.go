// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubtest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// Fault makes chosen requests fail in a chosen way.
type Fault struct {
	Match Match `json:"match"`
	// Skip leaves the first matching requests alone.
	Skip int `json:"skip,omitempty"`
	// Every strikes only each n-th of the matching requests after that; 0 and 1 mean all.
	Every int `json:"every,omitempty"`
	// Times is how often it strikes, 0 until it is cleared.
	Times  int    `json:"times,omitempty"`
	Effect Effect `json:"do"`
}

// Match chooses requests; what is empty matches everything.
type Match struct {
	// Org and Repo as in RequestInfo, in any case.
	Org  string `json:"org,omitempty"`
	Repo string `json:"repo,omitempty"`
	// Route is a template as in RequestInfo; Operation is a GraphQL operation's name.
	Route      string `json:"route,omitempty"`
	Operation  string `json:"operation,omitempty"`
	Method     string `json:"method,omitempty"`
	Resource   string `json:"resource,omitempty"`
	Credential string `json:"credential,omitempty"`
	// Query is a part of the query string, like "page=2".
	Query string `json:"query,omitempty"`
	// Variables are values that a GraphQL query has: {"lines": true} chooses those for commits with their lines.
	Variables map[string]any `json:"variables,omitempty"`
	// Func is a further condition.
	Func func(RequestInfo) bool `json:"-"`
}

func (m Match) matches(r RequestInfo) bool {
	fold := func(want, got string) bool { return want == "" || strings.EqualFold(want, got) }
	same := func(want, got string) bool { return want == "" || want == got }
	return fold(m.Org, r.Org) && fold(m.Repo, r.Repo) && same(m.Route, r.Route) && same(m.Operation, r.Operation) &&
		fold(m.Method, r.Method) && same(m.Resource, r.Resource) && same(m.Credential, r.Credential) &&
		strings.Contains(r.Query, m.Query) && m.hasVariables(r) && (m.Func == nil || m.Func(r))
}

// hasVariables compares values as they are written: a number of a test and one of JSON are the same.
func (m Match) hasVariables(r RequestInfo) bool {
	for name, want := range m.Variables {
		if got, ok := r.Variables[name]; !ok || fmt.Sprint(got) != fmt.Sprint(want) {
			return false
		}
	}
	return true
}

// EffectKind names an effect.
type EffectKind string

// The kinds of effects.
const (
	KindStatus         EffectKind = "status"
	KindPrimary        EffectKind = "primary_limit"
	KindSecondary      EffectKind = "secondary_limit"
	KindReset          EffectKind = "connection_reset"
	KindHang           EffectKind = "hang"
	KindSlow           EffectKind = "slow"
	KindTruncate       EffectKind = "truncate"
	KindHTML           EffectKind = "html"
	KindWrongLength    EffectKind = "wrong_length"
	KindRedirectLoop   EffectKind = "redirect_loop"
	KindRedirect       EffectKind = "redirect"
	KindNull           EffectKind = "null"
	KindFieldError     EffectKind = "field_error"
	KindGraphQLTimeout EffectKind = "graphql_timeout"
	KindResourceLimits EffectKind = "resource_limits"
	KindEndless        EffectKind = "endless"
	KindHuge           EffectKind = "huge"
	KindValue          EffectKind = "value"
	KindHeader         EffectKind = "header"
)

func (k EffectKind) isKnown() bool {
	switch k {
	case KindStatus, KindPrimary, KindSecondary, KindReset, KindHang, KindSlow, KindTruncate, KindHTML, KindWrongLength,
		KindRedirectLoop, KindRedirect, KindNull, KindFieldError, KindGraphQLTimeout, KindResourceLimits, KindEndless,
		KindHuge, KindHeader, KindValue:
		return true
	default:
		return false
	}
}

// Effect is what a fault does. Its constructors are below.
type Effect struct {
	Kind   EffectKind  `json:"kind"`
	Status int         `json:"status,omitempty"`
	Header http.Header `json:"header,omitempty"`
	Body   string      `json:"body,omitempty"`
	// RetryAfter of a limit; 0 leaves the header out.
	RetryAfter Duration `json:"retry_after,omitempty"`
	// Delay between the parts of a slow body.
	Delay Duration `json:"delay,omitempty"`
	URL   string   `json:"url,omitempty"`
	// Path is a path of response keys in a GraphQL answer, like "organization.repositories.nodes.*.issues", and in a
	// REST answer for a value, like "0.commit.committer.date"; numbers are places in lists, * is any, and ** in front
	// is any beginning.
	Path string `json:"path,omitempty"`
	// Value takes the place of what is at the path, of an answer of either API: JSON as it is, like 12 or
	// "12200-05-05T00:00:00Z".
	Value json.RawMessage `json:"value,omitempty"`
	// NullDepth is how many elements of the path lead to what becomes null besides; 0 leaves that to GraphQL's rules.
	NullDepth int `json:"nulls,omitempty"`
	// Type and Message of a GraphQL error.
	Type    string `json:"type,omitempty"`
	Message string `json:"message,omitempty"`
	// Size of a huge body in bytes.
	Size int64 `json:"size,omitempty"`
}

// Duration is a time.Duration that JSON writes as a string like "30s".
type Duration time.Duration

// MarshalJSON writes the duration as a string.
func (d Duration) MarshalJSON() ([]byte, error) { return json.Marshal(time.Duration(d).String()) }

// UnmarshalJSON reads a string like "30s".
func (d *Duration) UnmarshalJSON(b []byte) error {
	var s string
	if err := json.Unmarshal(b, &s); err != nil {
		return err
	}
	v, err := time.ParseDuration(s)
	*d = Duration(v)
	return err
}

// Status answers with a status and GitHub's usual body for it.
func Status(code int) Effect { return Effect{Kind: KindStatus, Status: code} }

// StatusBody answers with a status, headers and a body as they are.
func StatusBody(code int, header http.Header, body string) Effect {
	return Effect{Kind: KindStatus, Status: code, Header: header, Body: body}
}

// PrimaryLimit answers that the hourly limit is used up, in REST with 403 or 429, in GraphQL with 200 and RATE_LIMITED.
func PrimaryLimit(status int) Effect { return Effect{Kind: KindPrimary, Status: status} }

// SecondaryLimit answers that a secondary limit is exceeded: 403, 429 or, for GraphQL, 200. retryAfter 0 leaves the
// header out.
func SecondaryLimit(status int, retryAfter time.Duration) Effect {
	return Effect{Kind: KindSecondary, Status: status, RetryAfter: Duration(retryAfter)}
}

// ConnectionReset closes the connection without an answer.
func ConnectionReset() Effect { return Effect{Kind: KindReset} }

// Hang does not answer until the client goes away or the server is closed.
func Hang() Effect { return Effect{Kind: KindHang} }

// SlowBody sends the body in ten parts with a delay before each.
func SlowBody(delay time.Duration) Effect { return Effect{Kind: KindSlow, Delay: Duration(delay)} }

// TruncatedJSON sends half of the body as if it were all.
func TruncatedJSON() Effect { return Effect{Kind: KindTruncate} }

// HTML answers with a page instead of JSON, as a proxy does.
func HTML(status int) Effect { return Effect{Kind: KindHTML, Status: status} }

// WrongLength announces more bytes than it sends.
func WrongLength() Effect { return Effect{Kind: KindWrongLength} }

// RedirectLoop redirects to the request's own address.
func RedirectLoop() Effect {
	return Effect{Kind: KindRedirectLoop, Status: http.StatusMovedPermanently}
}

// RedirectTo redirects to another address.
func RedirectTo(status int, url string) Effect {
	return Effect{Kind: KindRedirect, Status: status, URL: url}
}

// NullAt makes the value at a path of a GraphQL answer null, without an error.
func NullAt(path string) Effect { return Effect{Kind: KindNull, Path: path} }

// FieldError makes a field of a GraphQL answer fail; null spreads upwards as far as the schema says.
func FieldError(path, typ, message string) Effect {
	return Effect{Kind: KindFieldError, Path: path, Type: typ, Message: message}
}

// GraphQLTimeout answers 502 or 504 with GitHub's body for a query that took too long.
func GraphQLTimeout(status int) Effect { return Effect{Kind: KindGraphQLTimeout, Status: status} }

// ValueAt puts a JSON text in the place of the values at a path, in an answer of either API.
func ValueAt(path, value string) Effect {
	return Effect{Kind: KindValue, Path: path, Value: json.RawMessage(value)}
}

// ResourceLimitsExceeded makes the value at a path null because the query was too expensive; the rest is there.
func ResourceLimitsExceeded(path string) Effect {
	return Effect{
		Kind: KindResourceLimits, Path: path, Type: "RESOURCE_LIMITS_EXCEEDED",
		Message: "Resource limits for this query exceeded.",
	}
}

// NextLinkLoop always says that there is a next page.
func NextLinkLoop() Effect { return Effect{Kind: KindEndless} }

// HugeBody sends so many bytes of white space before the body.
func HugeBody(size int64) Effect { return Effect{Kind: KindHuge, Size: size} }

// Headers adds headers to an answer that is as it would be otherwise, such as "Deprecation" and "Sunset".
func Headers(header http.Header) Effect { return Effect{Kind: KindHeader, Header: header} }

// ArmedFault is a fault that is in force.
type ArmedFault struct {
	fault Fault
	table *faultTable
	seen  int
	hits  int
}

type faultTable struct {
	mu    sync.Mutex
	armed []*ArmedFault
}

// InjectFault arms a fault. Of several that match a request, the one armed first strikes.
func (s *Server) InjectFault(f Fault) *ArmedFault {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	a := &ArmedFault{fault: f, table: &s.faults}
	s.faults.armed = append(s.faults.armed, a)
	return a
}

// ClearFaults disarms all faults.
func (s *Server) ClearFaults() {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	s.faults.armed = nil
}

// Disarm disarms the fault.
func (a *ArmedFault) Disarm() {
	a.table.mu.Lock()
	defer a.table.mu.Unlock()
	a.table.armed = slices.DeleteFunc(a.table.armed, func(o *ArmedFault) bool { return o == a })
}

// Hits is how often the fault struck.
func (a *ArmedFault) Hits() int {
	a.table.mu.Lock()
	defer a.table.mu.Unlock()
	return a.hits
}

// effectFor finds the effect for a request, nil for none.
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

func (a *ArmedFault) countMatch() bool {
	a.seen++
	n := a.seen - a.fault.Skip
	if n <= 0 || a.fault.Every > 1 && n%a.fault.Every != 0 || a.fault.Times > 0 && a.hits >= a.fault.Times {
		return false
	}
	a.hits++
	return true
}
