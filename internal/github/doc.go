// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

// Package github reads activity from GitHub. A Client discovers the repositories of an organization with the signals
// that tell what changed, and reads the events of a repository. It has two ways to do both: GraphQL, with REST where
// REST is the better question, and REST alone; they give the same events.
//
// Each request takes one path, composed in send: is it allowed now, wait for a place, authorize, ask, bound, observe,
// classify. Nothing sleeps on a limit: a request that a limit forbids ends in a *transport.LimitError that says until when.
package github
