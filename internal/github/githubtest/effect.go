// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubtest

import (
	"encoding/json"
	"net/http"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest/internal/graphql"
)

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
	// GraphQL and "0.commit.committer.date" of REST. A number is an index of a list, * any key or index, and ** in front
	// any beginning.
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
func NullAt(path string) Effect { return Effect{Kind: KindNull, FieldEffect: FieldEffect{Path: path}} }

// FieldError makes a field of a GraphQL answer fail; null spreads upwards as far as the schema says.
func FieldError(path, typ, message string) Effect {
	return Effect{Kind: KindFieldError, FieldEffect: FieldEffect{Path: path, Type: typ, Message: message}}
}

// GraphQLTimeout answers 502 or 504 with GitHub's body for a query that took too long.
func GraphQLTimeout(status int) Effect { return Effect{Kind: KindGraphQLTimeout, Status: status} }

// ValueAt puts a JSON text in the place of the values at a path, in an answer of either API.
func ValueAt(path, value string) Effect {
	return Effect{Kind: KindValue, FieldEffect: FieldEffect{Path: path, Value: json.RawMessage(value)}}
}

// ResourceLimitsExceeded makes the value at a path null because the query was too expensive; the rest is there.
func ResourceLimitsExceeded(path string) Effect {
	return Effect{Kind: KindResourceLimits, FieldEffect: FieldEffect{
		Path: path, Type: "RESOURCE_LIMITS_EXCEEDED", Message: "Resource limits for this query exceeded.",
	}}
}

// NextLinkLoop always says that there is a next page.
func NextLinkLoop() Effect { return Effect{Kind: KindEndless} }

// HugeBody sends so many bytes of white space before the body.
func HugeBody(size int64) Effect { return Effect{Kind: KindHuge, Size: size} }

// Headers adds headers to an answer that is as it would be otherwise, such as "Deprecation" and "Sunset".
func Headers(header http.Header) Effect { return Effect{Kind: KindHeader, Header: header} }
