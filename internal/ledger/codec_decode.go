package ledger

import (
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
)

var errPlace = errors.New("a place outside its table")

func (w *wireChange) change() (Change, error) {
	c := Change{
		Reset: w.Flags&flagReset != 0, Caught: w.Flags&flagCaught != 0,
		Began: moment(w.Began), Pruned: moment(w.Pruned), Progress: Progress{Edge: moment(w.Edge)},
	}
	if err := w.events(&c); err != nil {
		return c, err
	}
	for i := range w.Carried {
		k := &w.Carried[i]
		if int(k.Actor) >= len(w.Actors) {
			return c, errPlace
		}
		actor := w.actor(k.Actor)
		if err := actor.Validate(); err != nil {
			return c, err
		}
		c.Carried = append(c.Carried, Carried{Repo: k.Repo, Actor: actor, Totals: k.Totals})
	}
	for i := range w.Progress {
		p, err := w.Progress[i].progress()
		if err != nil {
			return c, err
		}
		c.Progress.Repos = append(c.Progress.Repos, p)
	}
	for _, s := range w.Samples {
		c.Samples = append(c.Samples, Sample{SampleKey{s.Name, s.Labels}, s.Value, moment(s.Observed)})
	}
	for _, t := range w.Tallies {
		c.Tallies = append(c.Tallies, Tally{TallyKey{t.Name, t.Labels}, t.Add})
	}
	return c, nil
}

func (w *wireChange) actor(place uint32) activity.Actor {
	return activity.Actor{ID: w.Actors[place].ID, Login: w.Actors[place].Login}
}

func (w *wireChange) events(c *Change) error {
	for i := range w.Events {
		e, err := w.event(&w.Events[i])
		if err != nil {
			return fmt.Errorf("event %d: %w", i, err)
		}
		c.Events = append(c.Events, e)
	}
	return nil
}

func (w *wireChange) event(we *wireEvent) (activity.Event, error) {
	e := activity.Event{
		Kind: activity.Kind(we.Kind), Time: time.Unix(int64(we.At), 0).UTC(), Additions: we.Additions, Deletions: we.Deletions,
	}
	if int(we.Actor) >= len(w.Actors) || int(we.Repo) >= len(w.Repos) || len(we.ID) > len(e.ID) {
		return e, errPlace
	}
	e.Repo, e.Actor = w.Repos[we.Repo], w.actor(we.Actor)
	copy(e.ID[len(e.ID)-len(we.ID):], we.ID)
	return e, e.Validate()
}

func (w *wireProgress) progress() (RepoProgress, error) {
	p := RepoProgress{
		ID: w.ID, Name: w.Name, Contact: moment(w.Contact), Since: moment(w.Since), Observed: moment(w.Observed),
		Presence: Presence(w.Presence), GoneSince: moment(w.GoneSince),
	}
	if p.Presence > PresenceGone {
		return p, fmt.Errorf("presence %d", w.Presence)
	}
	if s := w.Signals; s != nil {
		p.Signals = &activity.Signals{
			Known: activity.Streams(s.Known) & activity.EveryStream, Head: s.Head, PushedAt: moment(s.PushedAt),
			Pulls:  activity.Mark{Number: s.PullNumber, UpdatedAt: moment(s.PullUpdated)},
			Issues: activity.Mark{Number: s.IssueNumber, UpdatedAt: moment(s.IssueUpdated)},
		}
	}
	var err error
	if p.Missed, err = windows(w.Missed); err != nil {
		return p, err
	}
	p.Read, err = windows(w.Read)
	return p, err
}

func windows(list []wireWindow) ([]StreamWindow, error) {
	var sw []StreamWindow
	for _, w := range list {
		if w.Stream >= activity.NumStreams {
			return nil, fmt.Errorf("stream %d", w.Stream)
		}
		window := activity.Window{Start: moment(w.Start), End: moment(w.End)}
		sw = append(sw, StreamWindow{Stream: activity.Stream(w.Stream), Window: window})
	}
	return sw, nil
}

// moment is the time of Unix seconds; values that no clock shows count as none.
func moment(s int64) time.Time {
	if s < -math.MaxInt32*8 || s > math.MaxInt32*8 {
		return time.Time{}
	}
	return time.Unix(s, 0).UTC()
}
