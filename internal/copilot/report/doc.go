// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

// Package report decodes the Copilot usage reports of GitHub. It has no clock and does no I/O of its own:
//
//	response of the API ──▶ ReadLinks ──▶ State, Links        a report is behind one or more download links
//	file behind a link  ──▶ Reader ──▶ ReadUsers, ReadTeams, ReadRepositories, ReadAggregates ──▶ rows
//
// The reports are described at https://docs.github.com/rest/copilot/copilot-usage-metrics, their fields at
// https://docs.github.com/copilot/reference/copilot-usage-metrics/copilot-usage-metrics. Fields are added every few
// weeks and not for past days, so every field is optional: an absent field and a null are the same, neither is 0, and
// unknown fields and values are no errors.
//
// A file that is not what it should be is an *Error with a kind, and none of its rows may be used: a part of a report
// has lower numbers than the report. A single value that cannot be, such as a negative count, is absent and counted.
package report
