// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

// Package transport sends requests to GitHub's REST and GraphQL APIs. A Client sends a Call: it reserves a slot and
// the price in the budget of the credential, authorizes the request, bounds and classifies the response, and retries.
// The result is a decoded response or one of the typed errors of this package.
//
// A rate limit is not waited for: a request that a limit forbids fails with a *LimitError, which has the time from
// which requests are allowed again. What is requested, and what rows have to contain, is up to package github.
package transport
