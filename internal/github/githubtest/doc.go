// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

// Package githubtest is a fake GitHub for tests: the REST and GraphQL APIs over plain data that goes on arriving while
// the server runs, with GitHub's paging, conditional requests, prices, limits and failures.
//
//	Dataset ── Timeline ──▶ index ── REST / GraphQL ──▶ answer ── Fault ──▶ client
//	(data times)          (served times)
//
// A Dataset is an organization's activity, read from files or built by hand. The Timeline maps its times to served
// times; what lies in the served future is not visible yet. The Server answers from what is visible at the time of
// the request, and can be scripted: Update changes the data, Fault makes answers fail, OnRequest runs between a
// request and its answer, Requests lists the requests.
//
// Start runs a server for one test; the program in cmd/githubtest serves the same stand-alone.
package githubtest
