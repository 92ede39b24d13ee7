// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package usage

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/copilot/report"
)

func TestRepositories(t *testing.T) {
	t.Parallel()
	day := span(1).First
	r := NewRepositories(Settings{Span: span(1), MaxRecords: 6})
	pulls := report.PullRequests{
		Created: report.CountOf(0), Merged: report.CountOf(2), MinutesToMerge: report.AmountOf(1.5),
	}
	for _, row := range []report.Repository{
		{Day: day, ID: "1", OwnerName: "acme", Name: "web", PullRequests: pulls},
		{Day: day, ID: "1", OwnerName: "acme", Name: "web", PullRequests: pulls},
		{Day: day, OwnerName: "other", Name: "web"},
		{Day: day, ID: "3"},
		{Day: day + 1, ID: "4", Name: "api"},
		{ID: "5", Name: "api"},
		{Day: day, ID: "6", Name: "cut"},
	} {
		r.Add(&row)
	}
	var got []string
	for s := range r.Samples() {
		l := &s.Labels
		got = append(got, fmt.Sprintf("%s %s/%s %s=%v", s.Metric, l.Owner, l.Repository, l.Kind, s.Value))
	}
	require.Equal(t, []string{
		"gh_copilot_usage_pull_requests_total_created acme/web =0", "gh_copilot_pull_requests acme/web merged=2",
		"gh_copilot_minutes_to_merge acme/web any=1.5",
	}, got)
	require.Equal(t, Counts{2, [NumDrops]int64{
		DropDuplicate: 1, DropUnidentified: 1, DropOutsideWindow: 2, DropMaxRecords: 1,
	}}, r.Counts())
	requireRoundTrip(t, r.Samples())
}
