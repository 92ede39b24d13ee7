// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

// Package copilot reads the Copilot usage reports of an organization or enterprise, as its rules say when:
//
//	Rules ──▶ due targets ──▶ API: links, or a state ──▶ Files: rows ──▶ usage: samples ──▶ Store: documents
//	  ▲                                                                                       │
//	  └──────────────────────────────── Progress of each target ──────────────────────────────┘
//
// A target is the report of 28 days, or the report of a day. A report that is not there yet has a state and a time of
// the next request; it is no error. When a report of 28 days fails, the days that it would have added become targets of
// their own, until a report of 28 days has them. Workers read such days on any replica with ReadDay; a source without
// workers, or whose workers cannot be reached, reads them itself.
//
// What is stored are the samples of each report and the progress, in one write: a new leader continues from there, and
// every replica emits the same samples. A worker stores the samples only, under the names that the progress has for the
// day, and the source recognizes the day in them.
package copilot
