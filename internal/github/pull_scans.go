// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package github

import (
	"slices"
	"time"
)

// PullScan is a range of update times, both exclusive, of which everything in a listing of pull requests by update
// time was emitted. A pull request that is updated later leaves the range.
type PullScan struct{ Start, End time.Time }

// PullScans are the ranges that several readings have covered: one that fails near the top has its range, and those
// before it have theirs.
type PullScans []PullScan

// maxScans bounds the ranges that are remembered. What a dropped one covered is read again.
const maxScans = 4

// contains reports whether a pull request with this update time was emitted.
func (s PullScans) contains(updated time.Time) bool {
	return slices.ContainsFunc(s, func(scan PullScan) bool {
		return updated.After(scan.Start) && updated.Before(scan.End)
	})
}

// add returns the scans with another one, which replaces those that it covers.
func (s PullScans) add(scan PullScan) PullScans {
	all := PullScans{scan}
	for _, former := range s {
		if former.Start.Before(scan.Start) {
			all = append(all, former)
		}
	}
	return all[:min(len(all), maxScans)]
}
