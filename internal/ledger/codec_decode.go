package ledger

import (
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
)

var (
	errPlace  = errors.New("a place outside its table")
	errLength = errors.New("a list of the wrong length")
)

// cborBytes is the major type of byte strings (https://www.rfc-editor.org/rfc/rfc8949#section-3.1).
const cborBytes = 2

// change is the change of a frame; it remains to be validated.
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
		if len(k.Totals) != NumTotals {
			return c, errLength
		}
		c.Carried = append(c.Carried, Carried{Repo: k.Repo, Actor: w.actor(k.Actor), Totals: Totals(k.Totals)})
	}
	for i := range w.Progress {
		if w.Progress[i].ID <= 0 { // before anything is made of a list of nothings
			return c, activity.ErrRepo
		}
		c.Progress.Repos = append(c.Progress.Repos, w.Progress[i].progress())
	}
	return c, w.operations(&c)
}

func (w *wireChange) operations(c *Change) error {
	for _, s := range w.Samples {
		if len(s.Labels) != len(SampleKey{}.Labels) {
			return errLength
		}
		if len(s.Data) > 0 && s.Data[0]>>5 != cborBytes {
			continue // a number of version 1
		}
		var data []byte
		if err := decoding.Unmarshal(s.Data, &data); err != nil {
			return fmt.Errorf("sample: %w", err)
		}
		c.Samples = append(c.Samples, Sample{SampleKey{s.Name, [2]string(s.Labels)}, data, moment(s.Observed)})
	}
	for _, t := range w.Tallies {
		if len(t.Labels) != len(TallyKey{}.Labels) {
			return errLength
		}
		c.Tallies = append(c.Tallies, Tally{TallyKey{t.Name, [2]string(t.Labels)}, t.Add})
	}
	return nil
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
	return e, nil
}

// signals2 begins an array of as many values as wireSignals2 has (https://www.rfc-editor.org/rfc/rfc8949#section-3.1).
const signals2 = 0x87

// UnmarshalCBOR implements cbor.Unmarshaler.
func (w *wireSignals) UnmarshalCBOR(data []byte) error {
	if len(data) > 0 && data[0] == signals2 {
		var old wireSignals2
		err := decoding.Unmarshal(data, &old)
		*w = wireSignals{
			Known: old.Known, Head: old.Head, PushedAt: old.PushedAt, PullNumber: old.PullNumber, PullUpdated: old.PullUpdated,
			IssueNumber: old.IssueNumber, IssueUpdated: old.IssueUpdated, HeadAt: math.MinInt64,
		}
		return err
	}
	type plain wireSignals // without this method
	return decoding.Unmarshal(data, (*plain)(w))
}

func (w *wireProgress) progress() RepoProgress {
	p := RepoProgress{
		ID: w.ID, Name: w.Name, Contact: moment(w.Contact), Since: moment(w.Since), Observed: moment(w.Observed),
		Presence: Presence(w.Presence), GoneSince: moment(w.GoneSince),
		Missed: windows(w.Missed), Read: windows(w.Read),
	}
	if s := w.Signals; s != nil {
		p.Signals = &activity.Signals{
			Known: activity.Streams(s.Known), Head: s.Head, HeadAt: moment(s.HeadAt), Archived: s.Archived, PushedAt: moment(s.PushedAt),
			Pulls:  activity.Mark{Number: s.PullNumber, UpdatedAt: moment(s.PullUpdated)},
			Issues: activity.Mark{Number: s.IssueNumber, UpdatedAt: moment(s.IssueUpdated)},
		}
	}
	return p
}

func windows(list []wireWindow) []StreamWindow {
	var sw []StreamWindow
	for _, w := range list {
		window := activity.Window{Start: moment(w.Start), End: moment(w.End)}
		sw = append(sw, StreamWindow{Stream: activity.Stream(w.Stream), Window: window})
	}
	return sw
}

// moment is the time of Unix seconds, none for what stands for none.
func moment(s int64) time.Time {
	if s == math.MinInt64 {
		return time.Time{}
	}
	return time.Unix(s, 0).UTC()
}
