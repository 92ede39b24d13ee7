// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

// Package activity defines the events that the exporter counts (Event, Kind), the accounts to which they are attributed
// (Actor), the parts of a repository that are read together (Stream) and intervals of time (Window, Windows). It is
// plain data without I/O and without a clock, and imports the standard library only.
package activity
