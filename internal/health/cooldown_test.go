package health

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var errBroken = errors.New("status 502")

func TestCooldown(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 11, 12, 0, 0, 0, time.UTC)
	c := NewCooldown(CooldownSettings{Failures: 3, Pause: 2 * time.Minute, Probes: 2})
	require.False(t, c.Read("acme", errBroken, now))
	require.False(t, c.Read("acme", errBroken, now))
	require.False(t, c.Read("acme", nil, now), "an answer ends the row")
	for range 2 {
		require.False(t, c.Read("acme", errBroken, now))
	}
	require.NoError(t, c.Err())
	require.False(t, c.Probe(true), "there is nothing to end")
	require.True(t, c.Read("acme", errBroken, now))
	var cooling *CoolingError
	require.ErrorAs(t, c.Err(), &cooling)
	require.Equal(t, now.Add(2*time.Minute), cooling.Until)
	require.False(t, c.Read("acme", errBroken, now), "it has begun already")
	c.Read("acme", nil, now)
	require.Error(t, c.Err(), "what was on its way ends nothing")

	require.False(t, c.Due(now.Add(119*time.Second)))
	now = now.Add(2 * time.Minute)
	require.True(t, c.Due(now))
	require.False(t, c.Probe(true))
	require.False(t, c.Probe(false), "the row of good ones begins again")
	require.False(t, c.Probe(true))
	require.True(t, c.Probe(true))
	require.NoError(t, c.Err())
	require.False(t, c.Due(now))

	for n := range 3 {
		require.Equal(t, n == 2, c.Read("acme", errBroken, now), "good probes do not make the next row longer")
	}
}

// TestCooldownOfSeveral: one organization in trouble does not stop the others.
func TestCooldownOfSeveral(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 11, 12, 0, 0, 0, time.UTC)
	c := NewCooldown(CooldownSettings{Failures: 3, Askers: func() int { return 2 }, Pause: time.Minute, Probes: 1})
	for range 10 {
		require.False(t, c.Read("acme", errBroken, now))
	}
	require.False(t, c.Read("other", nil, now), "an answer for another one ends the row")
	for range 10 {
		require.False(t, c.Read("acme", errBroken, now))
	}
	require.True(t, c.Read("other", errBroken, now))
	require.True(t, c.Probe(true))
	for range 10 {
		require.False(t, c.Read("acme", errBroken, now), "it takes two again")
	}
}
