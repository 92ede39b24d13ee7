// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package redisclaims

import (
	"cmp"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/backfill"
	"github.com/seed-358c4d9d/githubexporter/internal/redistest"
)

// TestClaims: claims in Redis do what those of one process do.
func TestClaims(t *testing.T) {
	client := redistest.Start(t).Client()
	corrupt := 0
	shared := New(client, Settings{Prefix: "gx", TTL: time.Hour, OnCorrupt: func(string, error) { corrupt++ }})
	for name, claims := range map[string]backfill.Claims{"redis": shared, "process": &backfill.LocalClaims{}} {
		t.Run(name, func(t *testing.T) {
			at := time.Date(2026, 3, 11, 12, 0, 0, 123e6, time.UTC)
			claim := func(id string) backfill.Claim {
				return backfill.Claim{
					ID:          id,
					RepoID:      7,
					Streams:     activity.StreamsOf(activity.StreamPulls),
					Start:       at.Add(-time.Hour),
					End:         at,
					PublishedAt: at,
					RefreshedAt: at,
				}
			}
			list := func(org string) []backfill.Claim {
				t.Helper()
				all, err := claims.List(t.Context(), org)
				require.NoError(t, err)
				slices.SortFunc(all, func(a, b backfill.Claim) int { return cmp.Compare(a.ID, b.ID) })
				return all
			}
			require.Empty(t, list("acme"))
			require.NoError(t, claims.Put(t.Context(), "acme", []backfill.Claim{claim("a"), claim("b")}))
			require.NoError(t, claims.Put(t.Context(), "other", []backfill.Claim{claim("a")}))
			ofReport := claim("b")
			ofReport.RepoID, ofReport.Report = 0, "copilot/org_users_1d_7"
			require.NoError(t, claims.Put(t.Context(), "other", []backfill.Claim{ofReport}))
			require.Equal(t, []backfill.Claim{claim("a"), ofReport}, list("other"))
			require.NoError(t, claims.Delete(t.Context(), "other", []string{"b"}))
			later := claim("b")
			later.RefreshedAt, later.Retrying = at.Add(time.Minute), true
			require.NoError(t, claims.Put(t.Context(), "acme", []backfill.Claim{later}))
			require.Equal(t, []backfill.Claim{claim("a"), later}, list("acme"))
			require.NoError(t, claims.Delete(t.Context(), "acme", []string{"a", "unknown"}))
			require.Equal(t, []backfill.Claim{later}, list("acme"))
			require.Len(t, list("other"), 1)
			require.NoError(t, claims.Put(t.Context(), "acme", nil))
			require.NoError(t, claims.Delete(t.Context(), "acme", nil))
		})
	}
	key := "gx:1:{acme}:claims"
	require.Positive(t, client.TTL(t.Context(), key).Val())
	for _, value := range []string{"", "no json", "{}", `{"id":"x"}`, `null`, `[1]`} {
		require.NoError(t, client.HSet(t.Context(), key, "x", value).Err())
		all, err := shared.List(t.Context(), "acme")
		require.NoError(t, err)
		require.Len(t, all, 1, "the good one stays")
	}
	require.Equal(t, 6, corrupt)
	require.False(t, client.HExists(t.Context(), key, "x").Val())
}

func FuzzDecode(f *testing.F) {
	f.Add(
		`{"id":"x","repo_id":1,"streams":1,"from":"2026-01-01T00:00:00Z","until":"2026-01-02T00:00:00Z",` +
			`"seen":"2026-01-02T00:00:00Z"}`,
	)
	f.Add("null")
	f.Fuzz(func(t *testing.T, value string) {
		if claim, err := decodeClaim("x", value); err == nil {
			require.Equal(t, "x", claim.ID)
			require.True(t, claim.Start.Before(claim.End))
		}
	})
}
