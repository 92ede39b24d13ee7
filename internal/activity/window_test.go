// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package activity

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// drawWindow returns a window within a minute, at random an empty one or one that ends before it begins.
func drawWindow(t *rapid.T, name string) Window {
	return Window{atSecond(rapid.IntRange(0, 59).Draw(t, name+" from")), atSecond(rapid.IntRange(0, 59).Draw(t,
		name+" until"))}
}

// drawWindows returns a set that was made step by step.
func drawWindows(t *rapid.T) Windows {
	var ws Windows
	for range rapid.IntRange(0, 8).Draw(t, "steps") {
		if w := drawWindow(t, "step"); rapid.IntRange(0, 2).Draw(t, "kind") > 0 {
			ws = ws.Add(w)
		} else {
			ws = ws.Remove(w)
		}
	}
	return ws
}

// TestWindowsOfAnyLength compares a set of windows of any length with a set of seconds.
func TestWindowsOfAnyLength(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		ws, w := drawWindows(t), drawWindow(t, "asked")
		naive := secondsOf(ws)
		overlaps, covers := false, true
		for s := range 60 {
			if w.Contains(atSecond(s)) {
				overlaps = overlaps || naive[s]
				covers = covers && naive[s]
			}
		}
		require.Equal(t, overlaps, ws.Overlaps(w), "%v overlaps %v", ws, w)
		require.Equal(t, covers, ws.Covers(w), "%v covers %v", ws, w)
	})
}

// TestWindowsLaws checks that added windows are covered, that removed ones are not overlapped, and that repeating
// either changes nothing.
func TestWindowsLaws(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		ws, w := drawWindows(t), drawWindow(t, "window")
		added, removed := ws.Add(w), ws.Remove(w)
		require.True(t, added.Covers(w))
		require.False(t, removed.Overlaps(w))
		require.Equal(t, added, added.Add(w))
		require.Equal(t, secondsOf(removed), secondsOf(removed.Remove(w)))
		require.Equal(t, secondsOf(removed), secondsOf(added.Remove(w)), "what is removed leaves no trace")
		require.Equal(t, secondsOf(added), secondsOf(removed.Add(w)))
	})
}

// TestWindowsInAnyOrder checks that a set does not depend on the order in which its windows were added.
func TestWindowsInAnyOrder(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		list := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Window { return drawWindow(t, "window") }), 0, 10).Draw(t,
			"windows")
		var one, other Windows
		for _, w := range list {
			one = one.Add(w)
		}
		for _, w := range rapid.Permutation(list).Draw(t, "order") {
			other = other.Add(w)
		}
		require.True(t, slices.Equal(one, other), "%v and %v", one, other)
	})
}

// TestWindowsTouching checks that windows that touch are merged, and that those a nanosecond apart are not.
func TestWindowsTouching(t *testing.T) {
	t.Parallel()
	two := Windows(nil).Add(Window{atSecond(0), atSecond(10)}).Add(Window{atSecond(20), atSecond(30)})
	require.Len(t, two, 2)
	require.Equal(t, Windows{{atSecond(0), atSecond(30)}}, two.Add(Window{atSecond(10), atSecond(20)}))
	nearly := two.Add(Window{atSecond(10), atSecond(20).Add(-time.Nanosecond)})
	require.Len(t, nearly, 2)
	require.False(t, nearly.Covers(Window{atSecond(0), atSecond(30)}))
	require.True(t, nearly.Overlaps(Window{atSecond(19), atSecond(20)}))
	require.Equal(t, Windows{{atSecond(0), atSecond(5)}, {atSecond(25), atSecond(30)}}, two.Remove(Window{
		atSecond(5),
		atSecond(25),
	}))
	require.Empty(t, two.Remove(Window{End: atSecond(60)}), "without a beginning")
	require.Equal(t, two, two.Add(Window{atSecond(15), atSecond(15)}), "an empty window adds nothing")
	require.Equal(t, two, two.Remove(Window{atSecond(25), atSecond(5)}),
		"nor does one that ends before it begins remove anything")
	require.True(t, two.Covers(Window{atSecond(25), atSecond(5)}))
}

// TestWindowsShareNothing checks that changing a set does not change the one from which it was made.
func TestWindowsShareNothing(t *testing.T) {
	t.Parallel()
	ws := make(Windows, 0, 8)
	ws = append(ws, Window{atSecond(0), atSecond(10)}, Window{atSecond(20), atSecond(30)})
	left, right := ws.Add(Window{atSecond(40), atSecond(50)}), ws.Add(Window{atSecond(45), atSecond(55)})
	require.Equal(t, Window{atSecond(40), atSecond(50)}, left[2])
	require.Equal(t, Window{atSecond(45), atSecond(55)}, right[2])
	require.Len(t, ws, 2)
}

// TestWindowEdges checks that the start belongs to a window and the end does not, in any time zone.
func TestWindowEdges(t *testing.T) {
	t.Parallel()
	west := time.FixedZone("west", -5*3600)
	w := Window{atSecond(10), atSecond(20)}
	for moment, in := range map[time.Duration]bool{
		10*time.Second - 1: false, 10 * time.Second: true, 20*time.Second - 1: true, 20 * time.Second: false,
	} {
		require.Equal(t, in, w.Contains(noon.Add(moment)), moment)
		require.Equal(t, in, w.Contains(noon.Add(moment).In(west)), moment)
	}
	require.False(t, w.Overlaps(Window{atSecond(0), atSecond(10)}))
	require.True(t, w.Overlaps(Window{atSecond(0), atSecond(11)}))
	require.False(t, w.Overlaps(Window{atSecond(15), atSecond(15)}), "nothing overlaps an empty window")
	require.False(t, Window{atSecond(15), atSecond(15)}.Overlaps(w))
	require.Equal(t, w.String(), Window{w.Start.In(west), w.End.In(west)}.String())
}
