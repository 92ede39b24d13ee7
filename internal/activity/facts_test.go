// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package activity_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
)

func TestStateOfARepository(t *testing.T) {
	t.Parallel()
	for want, facts := range map[string]activity.RepoFacts{
		"archived": {Archived: true, Fork: true, Empty: true},
		"fork":     {Fork: true, Empty: true},
		"empty":    {Empty: true, Template: true},
		"active":   {Template: true},
	} {
		require.Equal(t, want, facts.State().String())
	}
}

// TestEqualFacts checks that each field counts.
func TestEqualFacts(t *testing.T) {
	t.Parallel()
	at := time.Unix(1_770_000_000, 0)
	same := activity.RepoFacts{CreatedAt: at, Stars: activity.KnownNumber(1)}
	require.True(t, same.Equal(&activity.RepoFacts{CreatedAt: at.UTC(), Stars: activity.KnownNumber(1)}))
	for name, change := range map[string]func(*activity.RepoFacts){
		"visibility":       func(f *activity.RepoFacts) { f.Visibility = "public" },
		"default branch":   func(f *activity.RepoFacts) { f.DefaultBranch = "main" },
		"language":         func(f *activity.RepoFacts) { f.Language = "Go" },
		"archived":         func(f *activity.RepoFacts) { f.Archived = true },
		"fork":             func(f *activity.RepoFacts) { f.Fork = true },
		"empty":            func(f *activity.RepoFacts) { f.Empty = true },
		"template":         func(f *activity.RepoFacts) { f.Template = true },
		"template known":   func(f *activity.RepoFacts) { f.TemplateKnown = true },
		"stars":            func(f *activity.RepoFacts) { f.Stars.Value++ },
		"forks":            func(f *activity.RepoFacts) { f.Forks.IsKnown = true },
		"size":             func(f *activity.RepoFacts) { f.Size.IsKnown = true },
		"created":          func(f *activity.RepoFacts) { f.CreatedAt = at.Add(time.Second) },
		"pushed":           func(f *activity.RepoFacts) { f.PushedAt = at },
		"topics":           func(f *activity.RepoFacts) { f.Topics = []activity.Topic{{Name: "go"}} },
		"properties":       func(f *activity.RepoFacts) { f.Properties = []activity.Property{{Name: "a"}} },
		"properties known": func(f *activity.RepoFacts) { f.PropertiesKnown = true },
	} {
		other := same
		change(&other)
		require.False(t, same.Equal(&other), name)
	}
}
