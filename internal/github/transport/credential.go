// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package transport

import (
	"context"
	"time"
)

// Credential authenticates requests. TokenCredential and AppCredential return one. It is safe for concurrent use.
type Credential interface {
	// bind sets the client that requests tokens. Only the first call has an effect.
	bind(sender)
	// token returns the token of a request. It may have to be requested, by a request with the same bypassLimits.
	token(ctx context.Context, bypassLimits bool) (string, error)
	// invalidate deletes a token that GitHub refused. It reports whether the credential can make another one.
	invalidate(token string) bool
	// isApp reports whether the credential is an App's installation; installation returns its id, 0 for unknown.
	isApp() bool
	installation() int64
}

// sender is a client as a credential sees it.
type sender interface {
	send(ctx context.Context, x *exchange) error
	GitHubNow() time.Time
}

type tokenCredential string

// TokenCredential authenticates with a personal access token, or any other token that does not change.
func TokenCredential(token string) Credential { return tokenCredential(token) }

func (tokenCredential) bind(sender) {}

func (t tokenCredential) token(context.Context, bool) (string, error) { return string(t), nil }

func (tokenCredential) invalidate(string) bool { return false }

func (tokenCredential) isApp() bool { return false }

func (tokenCredential) installation() int64 { return 0 }

// String hides the token.
func (t tokenCredential) String() string { return "[REDACTED]" }

// GoString hides the token.
func (t tokenCredential) GoString() string { return "[REDACTED]" }
