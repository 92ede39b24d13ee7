// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
)

// examplePullStock has every property of an open pull request.
func examplePullStock() activity.PullStock {
	at := time.Date(2026, 3, 11, 12, 0, 0, 0, time.UTC)
	return activity.PullStock{
		SeenAt: at, Updated: at.Add(-time.Minute), Pulls: []activity.OpenPull{
			{Number: 3, Created: at.AddDate(-2, 0, 0), Updated: at.AddDate(-1, 0, 0), IsDraft: true},
			{Number: 4, Created: at.Add(-time.Hour), Updated: at.Add(-time.Hour), IsReviewed: true, Awaited: 2},
			{Number: 70_000, Created: at.Add(-time.Hour), Updated: at.Add(-time.Minute), Awaited: maxAwaited},
		},
	}
}

func TestStockCodecs(t *testing.T) {
	t.Parallel()
	stock := examplePullStock()
	decoded, err := DecodePullStock(EncodePullStock(&stock))
	require.NoError(t, err)
	require.Equal(t, stock, decoded)
	for _, issues := range []activity.IssueStock{
		{SeenAt: stock.SeenAt},
		{SeenAt: stock.SeenAt, Updated: stock.Updated, Open: 12, Oldest: stock.Pulls[0].Created},
		{SeenAt: stock.SeenAt, Updated: stock.Updated, IsTooLarge: true},
	} {
		again, err := DecodeIssueStock(EncodeIssueStock(&issues))
		require.NoError(t, err)
		require.Equal(t, issues, again)
	}
}

// TestLargestPullStock: a stock that does not fit is known to be too large, and three thousand fit.
func TestLargestPullStock(t *testing.T) {
	t.Parallel()
	stock := examplePullStock()
	fill := func(n int) {
		stock.Pulls = nil
		for i := range n {
			stock.Pulls = append(stock.Pulls, activity.OpenPull{
				Number: int64(100 * (i + 1)), Created: stock.SeenAt.AddDate(-3, 0, 0), Updated: stock.SeenAt,
				Awaited: 40,
			})
		}
	}
	fill(3000)
	decoded, err := DecodePullStock(EncodePullStock(&stock))
	require.NoError(t, err)
	require.Equal(t, stock, decoded)
	fill(10_000)
	decoded, err = DecodePullStock(EncodePullStock(&stock))
	require.NoError(t, err)
	require.Equal(t, activity.PullStock{SeenAt: stock.SeenAt, Updated: stock.Updated, IsTooLarge: true}, decoded)
}

func TestStockCodecsRefuse(t *testing.T) {
	t.Parallel()
	stock := examplePullStock()
	pulls, issues := EncodePullStock(&stock), EncodeIssueStock(&activity.IssueStock{SeenAt: stock.SeenAt, Open: 2})
	for name, data := range map[string][]byte{
		"nothing": nil, "a later version": append([]byte{2}, pulls[1:]...), "unknown flags": {1, 2, 0, 0},
		"cut off": pulls[:len(pulls)-1], "too large with rows": append([]byte{1, 1}, pulls[2:]...),
		"a number that does not rise": append(pulls, 0, 1, 1, 1), "too long": make([]byte, MaxEntry+1),
	} {
		_, err := DecodePullStock(data)
		require.ErrorIs(t, err, ErrStock, name)
	}
	for name, data := range map[string][]byte{
		"nothing": nil, "cut off": issues[:len(issues)-1], "too long": append(issues, 1),
	} {
		_, err := DecodeIssueStock(data)
		require.ErrorIs(t, err, ErrStock, name)
	}
}

// FuzzStocks: no data panic, and what is decoded is encoded as the same stock.
func FuzzStocks(f *testing.F) {
	stock := examplePullStock()
	f.Add(EncodePullStock(&stock))
	f.Add(EncodeIssueStock(&activity.IssueStock{SeenAt: stock.SeenAt, Open: 2, Oldest: stock.Updated}))
	f.Fuzz(func(t *testing.T, data []byte) {
		if pulls, err := DecodePullStock(data); err == nil {
			again, err := DecodePullStock(EncodePullStock(&pulls))
			require.NoError(t, err)
			require.Equal(t, pulls, again)
		}
		if issues, err := DecodeIssueStock(data); err == nil {
			again, err := DecodeIssueStock(EncodeIssueStock(&issues))
			require.NoError(t, err)
			require.Equal(t, issues, again)
		}
	})
}
