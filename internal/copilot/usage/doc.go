// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

// Package usage computes metrics of Copilot from the rows of reports. It has no clock and does no I/O:
//
//	report.User ──▶ Users, Teams ──┐
//	report.Aggregate ──▶ Aggregates ├──▶ Sample: metric, labels, value ──▶ Encode, Decode
//	report.Seat ──▶ Seats ─────────┘
//
// What is added up, and what is not:
//
//   - A value without a day label is the sum over the days of the report, for a user, a team or all users.
//   - A number of distinct users is that of the newest day, by the largest date. It is never added up.
//   - A median is that of the newest day that has one.
//   - A value that the report does not have is absent: there is no sample of it, not one of 0.
//   - The total of a row is a sample without a dimension. Each dimension that is switched on adds samples with this one
//     label; those of features sum up to the total, those of IDEs and models do not (report.Breakdowns).
//   - A user in two teams counts in both, and so does a member of two organizations: sums over them count twice.
package usage
