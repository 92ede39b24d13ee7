// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

// Package github reads activity from GitHub. A Client discovers the repositories of an organization with the signals
// that show what changed, looks up single repositories, and reads the events of a repository. It does each in two ways:
// with GraphQL, where REST is used for what costs less there, and with REST alone. Both give the same events.
//
// Its files, each group above the next:
//
//	client.go read.go discover.go lookup.go lines.go stats.go   what callers use
//	streams.go stream_*.go update_feed.go                       the streams, a file each, and their table
//	divergence.go commit_lines.go walk.go                       what reading commits takes beside their pages
//	graphql_activity.go graphql_prefetch.go listing.go          the queries, adapted to what GitHub can answer in time
//	query_*.go rest_commits.go                                  rows that several readers use
//	reader.go read_request.go reader_state.go                   one reading, and what a client remembers of them
//	graphql.go schema.go nulls.go rest.go format.go lenient.go  calls, and the checks of their responses
//
// Requests are sent by package transport, whose typed errors are the errors of this package, with SchemaError and
// IncompleteError.
package github
