// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package explain

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/ledger/ledgerview"
)

// Answer is what the ledger says to a query. It is the output of --json.
type Answer struct {
	Org string `json:"org"`
	// At is the time of the numbers, ReadUntil up to when the organization has been read.
	At        time.Time `json:"at"`
	ReadUntil time.Time `json:"read_until"`
	// Label is the setting actors::label, Bots and Exclude say who is not shown.
	Label   string   `json:"label"`
	Bots    string   `json:"bots"`
	Exclude []string `json:"exclude"`
	// Notes are what a reader has to know beside that.
	Notes  []string  `json:"notes,omitempty"`
	Series []*Number `json:"series"`
}

// Number is a value of a metric, or a count of events since a time.
type Number struct {
	Repo string `json:"repo"`
	User string `json:"user"`
	// Metric is the name in Prometheus; for a count since a time it is the kind of the events.
	Metric string `json:"metric"`
	Value  uint64 `json:"value"`
	// After and Until are the window: exclusive start, inclusive end.
	After  time.Time `json:"after"`
	Until  time.Time `json:"until"`
	Events []Event   `json:"events"`
}

// Event is an event behind a number.
type Event struct {
	Kind string    `json:"kind"`
	Time time.Time `json:"time"`
	// Adds is what the event adds to the number: 1, or lines.
	Adds uint64 `json:"adds"`
	URL  string `json:"url"`
}

// metricName returns the name of a metric in Prometheus.
func metricName(name string) string { return strings.ReplaceAll(name, ".", "_") }

// isWindowMetric reports whether there is a metric over a window with a name in Prometheus.
func isWindowMetric(name string) bool {
	for m := range ledgerview.Metric(ledgerview.NumMetrics) {
		if metricName(m.Name()) == name {
			return hasWindow(m)
		}
	}
	return false
}

// hasWindow reports whether a metric is over a window.
func hasWindow(m ledgerview.Metric) bool {
	return m < ledgerview.MetricLastEvent || m >= ledgerview.MetricLonger
}

// answer answers a query.
func (c *contents) answer(q *query) *Answer {
	a := &Answer{
		Org: c.org.Name, At: q.at, ReadUntil: c.view.Edge(), Label: c.config.Actors.Label, Bots: c.config.Actors.Bots,
		Exclude: c.config.Actors.Exclude, Series: []*Number{},
	}
	user, shown := q.user, true
	if q.user != "" {
		user, shown = c.config.UserLabel(q.user)
	}
	if !shown {
		a.Notes = append(a.Notes, fmt.Sprintf("the user %s is not shown: actors::bots or actors::exclude", q.user))
	}
	if c.config.UsesStatistics() {
		a.Notes = append(a.Notes, "weekly lines come from GitHub's statistics: no events are behind them")
	}
	if q.metric != "" && !c.isEnabled(strings.Replace(q.metric, "gh_activity_", "gh.activity.", 1)) {
		a.Notes = append(a.Notes, "the configuration does not enable "+q.metric+": the page does not show it")
	}
	if c.corrupt > 0 {
		a.Notes = append(a.Notes, fmt.Sprintf("%d records of the store cannot be read", c.corrupt))
	}
	numbers := make(map[[3]string]*Number)
	add := func(e *ledgerview.Explanation, name string) {
		if (q.repo != "" && !strings.EqualFold(c.org.RepoName(q.repo), e.Repo)) ||
			(q.user != "" && e.User != q.user && (!shown || e.User != user)) {
			return
		}
		c.add(numbers, e, name)
	}
	if q.since.IsZero() {
		c.view.Explain(q.at, func(e *ledgerview.Explanation) {
			name := metricName(e.Metric.Name())
			isAsked := q.metric == name || (q.metric == "" && c.isEnabled(e.Metric.Name()))
			if isAsked && strings.HasSuffix(name, q.window) {
				add(e, name)
			}
		})
	} else {
		c.view.EventsBetween(q.since, q.at, func(e *ledgerview.Explanation) { add(e, e.Events[0].Kind.String()) })
	}
	for _, number := range numbers {
		slices.SortFunc(number.Events, func(a, b Event) int {
			return cmp.Or(a.Time.Compare(b.Time), strings.Compare(a.URL, b.URL))
		})
		a.Series = append(a.Series, number)
	}
	slices.SortFunc(a.Series, func(a, b *Number) int {
		return cmp.Or(strings.Compare(a.Repo, b.Repo), strings.Compare(a.User, b.User),
			strings.Compare(a.Metric, b.Metric))
	})
	return a
}

// add adds the part of a number that one account has.
func (c *contents) add(numbers map[[3]string]*Number, e *ledgerview.Explanation, name string) {
	key := [3]string{e.Repo, e.User, name}
	number := numbers[key]
	if number == nil {
		number = &Number{
			Repo: e.Repo, User: e.User, Metric: name, After: e.After, Until: e.Until, Events: []Event{},
		}
		numbers[key] = number
	}
	measure, isMeasure := ledgerview.MeasureOf(e.Metric)
	for i := range e.Events {
		ref := &e.Events[i]
		adds := uint64(1)
		if isMeasure {
			adds = uint64(ref.Measures[measure])
		}
		number.Value += adds
		number.Events = append(number.Events, Event{
			Kind: ref.Kind.String(), Time: ref.Time, Adds: adds, URL: c.link(e.Repo, ref),
		})
	}
}

// write writes the answer as lines.
func (a *Answer) write(to io.Writer) error {
	w := &strings.Builder{}
	exclude := "none"
	if len(a.Exclude) > 0 {
		exclude = strings.Join(a.Exclude, ", ")
	}
	fmt.Fprintf(w, "organization %s at %s, read until %s\n", a.Org, a.At.Format(time.RFC3339),
		a.ReadUntil.Format(time.RFC3339))
	fmt.Fprintf(w, "label user: %s; bots: %s; excluded users: %s\n", a.Label, a.Bots, exclude)
	for _, note := range a.Notes {
		fmt.Fprintf(w, "note: %s\n", note)
	}
	for _, number := range a.Series {
		fmt.Fprintf(w, "\n%s %s %s = %d (after %s until %s)\n", number.Repo, number.User, number.Metric, number.Value,
			number.After.Format(time.RFC3339), number.Until.Format(time.RFC3339))
		for _, e := range number.Events {
			fmt.Fprintf(w, "  %s  %s  +%d  %s\n", e.Time.Format(time.RFC3339), e.Kind, e.Adds, e.URL)
		}
	}
	if len(a.Series) == 0 {
		fmt.Fprintln(w, "\nno series matches")
	}
	_, err := io.WriteString(to, w.String())
	return err
}
