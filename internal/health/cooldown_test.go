// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package health

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var (
	errBroken = errors.New("status 502")
	wednesday = time.Date(2026, 3, 11, 12, 0, 0, 0, time.UTC)
)

// newRequest is a question of an organization about a repository, through one API.
func newRequest(asker string, repo int64) Request {
	return Request{Org: asker, API: "graphql", Repo: repo}
}

func TestCooldown(t *testing.T) {
	t.Parallel()
	now := wednesday
	c := NewCooldown(CooldownSettings{Failures: 3, Pause: 2 * time.Minute, Probes: 2})
	require.Nil(t, c.RecordRequest(newRequest("acme", 1), errBroken, now))
	require.Nil(t, c.RecordRequest(newRequest("acme", 2), errBroken, now))
	require.Nil(t, c.RecordRequest(newRequest("acme", 3), nil, now), "an answer ends the row")
	for repo := range int64(2) {
		require.Nil(t, c.RecordRequest(newRequest("acme", 1+repo), errBroken, now))
	}
	require.NoError(t, c.Err())
	require.False(t, c.RecordProbe(nil), "there is nothing to end")
	begun := c.RecordRequest(newRequest("acme", 1), errBroken, now)
	require.NotNil(t, begun)
	require.Equal(
		t,
		&CooldownError{Until: now.Add(2 * time.Minute), API: "graphql", Failures: 3, Repositories: 2, Cause: errBroken},
		begun,
	)
	require.Equal(t, begun, c.Err())
	require.ErrorIs(t, c.Err(), errBroken)
	require.Nil(t, c.RecordRequest(newRequest("acme", 3), errBroken, now), "it has begun already")
	require.Nil(t, c.RecordRequest(newRequest("acme", 1), nil, now))
	require.Error(t, c.Err(), "what was on its way ends nothing")

	require.False(t, c.IsProbeDue(now.Add(119*time.Second)))
	now = now.Add(2 * time.Minute)
	require.True(t, c.IsProbeDue(now))
	require.False(t, c.RecordProbe(nil))
	require.False(t, c.RecordProbe(errors.New("refused")), "the row of good ones begins again")
	require.False(t, c.RecordProbe(nil))
	require.True(t, c.RecordProbe(nil))
	require.NoError(t, c.Err())
	require.False(t, c.IsProbeDue(now))

	for n := range int64(3) {
		require.Equal(
			t,
			n == 2,
			c.RecordRequest(newRequest("acme", n+1), errBroken, now) != nil,
			"good probes do not make the next row longer",
		)
	}
}

// TestCooldownStart: failures of different repositories, or of an organization as a whole, with no good answer of the
// same API.
func TestCooldownStart(t *testing.T) {
	t.Parallel()
	repos := func(ids ...int64) (list []Request) {
		for _, id := range ids {
			list = append(list, newRequest("acme", id))
		}
		return list
	}
	for name, test := range map[string]struct {
		failed []Request
		begins bool
	}{
		"one repository":                    {repos(1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1), false},
		"two of six":                        {repos(1, 2, 1, 2, 1, 2, 1, 2, 1, 2), false},
		"three of six":                      {repos(1, 2, 3, 1, 2, 3), true},
		"too few":                           {repos(1, 2, 3, 4, 5), false},
		"different ones":                    {repos(1, 2, 3, 4, 5, 6), true},
		"the organization":                  {repos(0, 0, 0, 0, 0, 0), true},
		"the organization, too few":         {repos(0, 0, 0, 0, 0), false},
		"the organization and a repository": {repos(0, 0, 0, 1, 1, 1), false},
		"both, often enough":                {repos(0, 0, 0, 1, 0, 0, 0), true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := NewCooldown(CooldownSettings{Failures: 6, Pause: time.Minute, Probes: 1})
			begun := false
			for _, q := range test.failed {
				begun = c.RecordRequest(q, errBroken, wednesday) != nil || begun
			}
			require.Equal(t, test.begins, begun)
		})
	}
}

// TestCooldownSeparatesAPIs: a good answer of one API says nothing about the other.
func TestCooldownSeparatesAPIs(t *testing.T) {
	t.Parallel()
	c := NewCooldown(CooldownSettings{Failures: 4, Pause: time.Minute, Probes: 1})
	for repo := range int64(4) {
		require.Nil(t, c.RecordRequest(Request{Org: "acme", API: "rest", Repo: repo + 1}, nil, wednesday))
		require.Equal(t, repo == 3, c.RecordRequest(newRequest("acme", repo+1), errBroken, wednesday) != nil)
	}
	c = NewCooldown(CooldownSettings{Failures: 4, Pause: time.Minute, Probes: 1})
	for n := range int64(20) {
		q := newRequest("acme", n)
		q.API = []string{"rest", "graphql"}[n%2]
		if n%6 >= 4 {
			require.Nil(t, c.RecordRequest(q, nil, wednesday))
		} else {
			require.Nil(t, c.RecordRequest(q, errBroken, wednesday), "two of each API in a row")
		}
	}
}

// TestCooldownNeedsSeveralOrgs: one organization in trouble does not stop the others.
func TestCooldownNeedsSeveralOrgs(t *testing.T) {
	t.Parallel()
	c := NewCooldown(CooldownSettings{Failures: 3, MinOrgs: func() int { return 2 }, Pause: time.Minute, Probes: 1})
	for repo := range int64(10) {
		require.Nil(t, c.RecordRequest(newRequest("acme", repo), errBroken, wednesday))
	}
	require.Nil(t, c.RecordRequest(newRequest("other", 11), nil, wednesday), "an answer for another one ends the row")
	for repo := range int64(10) {
		require.Nil(t, c.RecordRequest(newRequest("acme", repo), errBroken, wednesday))
	}
	require.NotNil(t, c.RecordRequest(newRequest("other", 11), errBroken, wednesday))
	require.True(t, c.RecordProbe(nil))
	for repo := range int64(10) {
		require.Nil(t, c.RecordRequest(newRequest("acme", repo), errBroken, wednesday), "it takes two again")
	}
}
