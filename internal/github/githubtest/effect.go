// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubtest

import (
	"encoding/json"
	"net/http"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest/internal/graphql"
)

// EffectKind is the kind of an Effect: the name of one of the constructors in JSON.
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

// isKnown reports whether there is such a kind.
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

// Effect is what a fault does to the response. Its constructors are below; each kind uses some of the fields.
type Effect struct {
	Kind   EffectKind  `json:"kind"`
	Status int         `json:"status,omitempty"`
	Header http.Header `json:"header,omitempty"`
	// Body replaces GitHub's usual body for the status; empty keeps that.
	Body string `json:"body,omitempty"`
	// RetryAfter of a limit; 0 leaves the header out.
	RetryAfter Duration `json:"retry_after,omitempty"`
	// Delay before each part of a slow body.
	Delay Duration `json:"delay,omitempty"`
	// URL is the target of a redirect.
	URL string `json:"url,omitempty"`
	// Size of a huge body, in bytes.
	Size int64 `json:"size,omitempty"`

	FieldEffect
}

// FieldEffect is the part of an Effect on values of a response.
type FieldEffect struct {
	// Path selects values of a response by their keys, like "organization.repositories.nodes.*.issues" below data of
	// GraphQL and "0.commit.committer.date" of REST. A number is an index of a list, * any key or index, and ** in
	// front any beginning.
	Path string `json:"path,omitempty"`
	// Value replaces the values at the path: JSON, like 12 or "12200-05-05T00:00:00Z". It works with both APIs.
	Value json.RawMessage `json:"value,omitempty"`
	// NullDepth is the number of elements of the path that lead to what becomes null besides, in GraphQL; 0 leaves that
	// to GraphQL's rules.
	NullDepth int `json:"nulls,omitempty"`
	// Type and Message are those of an error of GraphQL.
	Type    string `json:"type,omitempty"`
	Message string `json:"message,omitempty"`
}

// graphqlFault returns the effect on the execution of a query, the zero value for none.
func (e *Effect) graphqlFault() graphql.Fault {
	switch e.Kind {
	case KindNull, KindResourceLimits, KindFieldError:
		return graphql.Fault{
			Path: e.Path, Silent: e.Kind == KindNull, Type: e.Type, Message: e.Message, NullDepth: e.NullDepth,
		}
	default:
		return graphql.Fault{Endless: e.Kind == KindEndless}
	}
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

// Status responds with a status and GitHub's usual body for it.
func Status(code int) Effect { return Effect{Kind: KindStatus, Status: code} }

// StatusBody responds with a status, headers and a body.
func StatusBody(code int, header http.Header, body string) Effect {
	return Effect{Kind: KindStatus, Status: code, Header: header, Body: body}
}

// PrimaryLimit responds that the hourly limit is used up: in REST with the status 403 or 429, in GraphQL with 200 and
// RATE_LIMITED.
func PrimaryLimit(status int) Effect { return Effect{Kind: KindPrimary, Status: status} }

// SecondaryLimit responds that a secondary limit is exceeded, with 403, 429 or, in GraphQL, 200. A retryAfter of 0
// leaves out the header.
func SecondaryLimit(status int, retryAfter time.Duration) Effect {
	return Effect{Kind: KindSecondary, Status: status, RetryAfter: Duration(retryAfter)}
}

// ConnectionReset resets the connection without a response.
func ConnectionReset() Effect { return Effect{Kind: KindReset} }

// Hang does not respond until the client gives up or the server is closed.
func Hang() Effect { return Effect{Kind: KindHang} }

// SlowBody sends the body in ten parts with a delay before each.
func SlowBody(delay time.Duration) Effect { return Effect{Kind: KindSlow, Delay: Duration(delay)} }

// TruncatedJSON sends half of the body as if it were all.
func TruncatedJSON() Effect { return Effect{Kind: KindTruncate} }

// HTML responds with a page instead of JSON, as a proxy does.
func HTML(status int) Effect { return Effect{Kind: KindHTML, Status: status} }

// WrongLength announces more bytes in Content-Length than it sends.
func WrongLength() Effect { return Effect{Kind: KindWrongLength} }

// RedirectLoop redirects to the request's own address.
func RedirectLoop() Effect {
	return Effect{Kind: KindRedirectLoop, Status: http.StatusMovedPermanently}
}

// RedirectTo redirects to an address.
func RedirectTo(status int, url string) Effect {
	return Effect{Kind: KindRedirect, Status: status, URL: url}
}

// NullAt makes the values at a path of a GraphQL response null, without an error.
func NullAt(path string) Effect { return Effect{Kind: KindNull, FieldEffect: FieldEffect{Path: path}} }

// FieldError makes a field of a GraphQL response fail; the null spreads upwards as the schema requires.
func FieldError(path, typ, message string) Effect {
	return Effect{Kind: KindFieldError, FieldEffect: FieldEffect{Path: path, Type: typ, Message: message}}
}

// GraphQLTimeout responds with 502 or 504 and GitHub's body for a query that took too long.
func GraphQLTimeout(status int) Effect { return Effect{Kind: KindGraphQLTimeout, Status: status} }

// ValueAt replaces the values at a path of a response of either API by a JSON text.
func ValueAt(path, value string) Effect {
	return Effect{Kind: KindValue, FieldEffect: FieldEffect{Path: path, Value: json.RawMessage(value)}}
}

// ResourceLimitsExceeded makes the values at a path null with GitHub's error for a query that was too expensive; the
// rest of the response is complete.
func ResourceLimitsExceeded(path string) Effect {
	return Effect{Kind: KindResourceLimits, FieldEffect: FieldEffect{
		Path: path, Type: "RESOURCE_LIMITS_EXCEEDED", Message: "Resource limits for this query exceeded.",
	}}
}

// NextLinkLoop makes each page, also the last one, have a next page.
func NextLinkLoop() Effect { return Effect{Kind: KindEndless} }

// HugeBody sends a number of bytes of white space before the body.
func HugeBody(size int64) Effect { return Effect{Kind: KindHuge, Size: size} }

// Headers adds headers, such as "Deprecation" and "Sunset", to a response without other changes.
func Headers(header http.Header) Effect { return Effect{Kind: KindHeader, Header: header} }
