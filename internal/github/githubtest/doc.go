// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

// Package githubtest is a fake GitHub for tests: the REST and GraphQL APIs over data that goes on arriving while the
// server runs, with GitHub's paging, conditional requests, prices, limits and failures.
//
//	dataset.Dataset ── Timeline ──▶ served.Index ──▶ served.View ── REST / GraphQL ──▶ response ── Fault ──▶ client
//	  (data times)                  (served times)   (visible now)
//
// A Dataset is an organization's activity, read from files or built by a test. The Timeline maps its times to served
// times; what lies in the served future is not visible yet. The Server answers from what is visible at the time of the
// request. A test scripts it (script.go): Update changes the data, InjectFault makes responses fail, OnRequest runs
// before the response, Requests lists the requests.
//
// serve.go has the steps of a request; rest_NAME.go the endpoints of REST with their routes; internal/graphql the other
// API; fault_*.go the effects of faults; limits.go the rate limits.
//
// Start runs a server for one test, InProcess calls one without a network, and the program in cmd/githubtest serves the
// same stand-alone.
package githubtest
