// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

// Package copilottest is the Copilot side of GitHub for tests: the twelve endpoints of usage reports
// (https://docs.github.com/rest/copilot/copilot-usage-metrics), those of billing and seats
// (https://docs.github.com/rest/copilot/copilot-user-management), and the host that serves the files behind signed
// links.
//
//	Dataset ──▶ report of a day or of 28 days ──▶ API() ──▶ links ──▶ Files() ──▶ rows
//	                                      Rule ─────┴────────────────────┘
//
// The data are rows as they stand in the files; the reports of all windows are made of them. A Rule replaces a
// response by a state, a link by another one, or the content of a file by a broken one. The package does not share
// code with the decoders that it is to test.
package copilottest
