// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package redisstore

import (
	"crypto/rand"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
)

// commitPlan has the contents of one attempt of a commit: the admitted part of a batch, as the commit script reads it.
type commitPlan struct {
	batch       *ledger.Batch
	metadata    ledger.Change       // the change of the followers' state, without events
	frame       []byte              // metadata encoded, empty when there is none
	newEpoch    string              // of a ledger that this commit starts, "" for one that exists
	newRepos    map[int64]time.Time // start of recording of the repositories that the batch introduces, by id
	events      eventTable          // the admitted events
	removedKeys []any               // keys of removed events
	dropped     int                 // events that are not admitted
	duplicates  int                 // events that are in the batch a second time
}

// eventTable has events as the commit script reads them.
type eventTable struct {
	keys          []any  // members of the set "seen"
	records       []byte // one after the other
	lengths       []byte // of each record, in two bytes
	seriesIndexes []byte // index of each event's series in the series table, from 1 on, in two bytes
	series        seriesTable
}

// seriesTable has the series of a batch's events.
type seriesTable struct {
	indexes     map[seriesKey]int // from 1 on
	fields      []any             // fields of the hash "series"
	repoLengths []byte            // length of the repository's part of each field
	newest      []int64           // time of the newest event in Unix seconds, at least 1; 0 where !isBudgeted
}

// seriesKey identifies a user in a repository.
type seriesKey struct {
	repo  int64
	actor activity.Actor
}

// maxBatchSeries is the most series of a batch: an index has two bytes.
const maxBatchSeries = math.MaxUint16

// newCommitPlan plans a batch with what the cache has of the organization. It returns ledger.ErrInvalid for what cannot
// be stored.
func newCommitPlan(fence uint64, b *ledger.Batch, facts *orgFacts) (*commitPlan, error) {
	p := &commitPlan{
		batch: b, newRepos: make(map[int64]time.Time),
		events: eventTable{series: seriesTable{indexes: make(map[seriesKey]int)}},
	}
	first := facts.epoch == ""
	var err error
	if p.metadata, err = b.Metadata(fence, first, facts.prunedTime()); err != nil {
		return nil, err
	}
	if first {
		p.newEpoch = rand.Text()
	}
	p.admitRepos(facts)
	p.admitEvents(facts)
	for _, key := range b.AuthorizedRemovals(fence) {
		p.removedKeys = append(p.removedKeys, string(appendKey(nil, key)))
	}
	if n := len(p.events.series.fields); n > maxBatchSeries {
		return nil, fmt.Errorf("%w: %d users in repositories, want at most %d", ledger.ErrInvalid, n, maxBatchSeries)
	}
	return p, p.encodeMetadata()
}

// admitRepos removes the progress of repositories that the ledger does not have and that the batch does not introduce.
func (p *commitPlan) admitRepos(facts *orgFacts) {
	repos := p.metadata.Progress.Repos[:0]
	for _, r := range p.metadata.Progress.Repos {
		_, recorded := facts.since[r.ID]
		_, repeated := p.newRepos[r.ID]
		if !recorded && !repeated {
			if r.Since.IsZero() {
				continue // read before Redis lost the ledger: the next discovery introduces the repository again
			}
			p.newRepos[r.ID] = r.Since
		}
		repos = append(repos, r)
	}
	p.metadata.Progress.Repos = repos
}

// encodeMetadata encodes the metadata into the frame, which stays empty when there is no metadata.
func (p *commitPlan) encodeMetadata() error {
	c := &p.metadata
	if c.LedgerStart.IsZero() && c.Progress.Edge.IsZero() && len(c.Progress.Repos)+len(c.Entries)+len(c.Tallies) == 0 {
		return nil
	}
	var err error
	p.frame, err = ledger.EncodeChange(*c)
	return err
}

// epochAfter returns the epoch of the ledger when the commit has succeeded.
func (p *commitPlan) epochAfter(facts *orgFacts) string {
	if facts.epoch == "" {
		return p.newEpoch
	}
	return facts.epoch
}

// admitEvents adds the events of the batch that the ledger admits, each once.
func (p *commitPlan) admitEvents(facts *orgFacts) {
	pruned := facts.prunedTime()
	seen := make(map[activity.Key]struct{}, len(p.batch.Events))
	for _, e := range laterKindsLast(p.batch.Events) {
		since, ok := facts.since[e.Repo]
		if !ok {
			since, ok = p.newRepos[e.Repo]
		}
		if !ok || !p.batch.Admit(&e, since, pruned) {
			p.dropped++
			continue
		}
		if _, ok := seen[e.Key()]; ok {
			p.duplicates++
			continue
		}
		seen[e.Key()] = struct{}{}
		p.events.add(&e)
	}
}

// laterKindsLast returns the events with those of kinds that were added later at the end, in the order of the kinds. An
// earlier version, which does not know them, reads the records of a log entry up to the first of them.
func laterKindsLast(events []activity.Event) []activity.Event {
	const firstKinds = activity.KindIssueClosed
	return slices.SortedStableFunc(slices.Values(events), func(a, b activity.Event) int {
		return int(max(a.Kind, firstKinds)) - int(max(b.Kind, firstKinds))
	})
}

// add appends an admitted event.
func (t *eventTable) add(e *activity.Event) {
	start := len(t.records)
	t.records = appendKey(t.records, e.Key())
	t.keys = append(t.keys, string(t.records[start:]))
	t.records = appendActor(appendBody(t.records, e), e.Actor)
	length, index := len(t.records)-start, t.series.indexOf(e)
	t.lengths = append(t.lengths, byte(length>>8), byte(length))           //nolint:gosec // a login has at most 255
	t.seriesIndexes = append(t.seriesIndexes, byte(index>>8), byte(index)) //nolint:gosec // newCommitPlan checks
}

// indexOf returns the index of the event's series, which it adds when the table does not have it.
func (t *seriesTable) indexOf(e *activity.Event) int {
	key := seriesKey{e.Repo, e.Actor}
	n, ok := t.indexes[key]
	if !ok {
		n = len(t.fields) + 1
		t.indexes[key] = n
		repo := appendRepo(nil, e.Repo)
		t.repoLengths = append(t.repoLengths, byte(len(repo))) //nolint:gosec // at most ten bytes
		t.fields = append(t.fields, appendActor(repo, e.Actor))
		t.newest = append(t.newest, 0)
	}
	if at := e.Time.Unix(); isBudgeted(e) && at >= t.newest[n-1] {
		t.newest[n-1] = max(at, 1)
	}
	return n
}

// isBudgeted reports whether the series of an event counts for the limit of series: it is one of a user, and not that
// of the folded ones.
func isBudgeted(e *activity.Event) bool {
	return e.Actor.Login != activity.LoginOther && !e.Kind.IsOfRepository()
}

// newestTimes returns the newest times as the commit script reads them: "" for a series that has no part in the limit
// of series.
func (t *seriesTable) newestTimes() []any {
	list := make([]any, len(t.newest))
	for i, at := range t.newest {
		if at == 0 {
			list[i] = ""
		} else {
			list[i] = strconv.FormatInt(at, 10)
		}
	}
	return list
}

// receipt returns the receipt of a commit by the numbers that the script returned.
func (p *commitPlan) receipt(recorded, folded int64) ledger.Receipt {
	return ledger.Receipt{
		Recorded: int(recorded), Duplicates: p.duplicates + len(p.events.keys) - int(recorded), Dropped: p.dropped,
		Folded: int(folded),
	}
}

var (
	otherActor    = string(appendActor(nil, activity.Other()))
	overflowField = joinName(ledger.TallySeriesOverflow, [2]string{})
)

// arguments returns the arguments of the commit script.
func (p *commitPlan) arguments(keys *orgKeys, fence uint64, facts *orgFacts, mode string,
	g seriesGrant,
) *scriptArguments {
	t := &p.events
	a := newScriptArguments(9, 64+len(t.keys)+3*len(t.series.fields)+4*len(p.metadata.Progress.Repos))
	keys.addForCommit(a)
	a.value("fence", strconv.FormatUint(fence, 10))
	a.value("epoch", facts.epoch)
	a.value("new_epoch", p.newEpoch)
	a.value("pruned", facts.pruned)
	a.value("edge", encodeOptionalTime(p.metadata.Progress.Edge))
	a.value("frame", p.frame)
	a.value("series_mode", mode)
	a.value("grant_from", g.from)
	a.value("grant", g.to)
	a.value("overflow", overflowField)
	a.value("began", encodeOptionalTime(p.metadata.LedgerStart))
	a.value("wrote", facts.wrote)
	c := p.coverageChanges()
	a.list("contacts", c.contacts)
	a.list("events", t.keys)
	a.value("records", t.records)
	a.value("lengths", t.lengths)
	a.value("series_indexes", t.seriesIndexes)
	a.list("series", t.series.fields)
	a.value("repo_lengths", t.series.repoLengths)
	a.list("newest", t.series.newestTimes())
	a.value("other", otherActor)
	a.list("set", c.set)
	a.list("deleted", c.deleted)
	a.list("signals", c.signals)
	a.list("entries", p.entryFields())
	a.list("gaps", c.gaps)
	a.list("tips", c.tips)
	a.list("removals", p.removedKeys)
	a.list("tallies", p.tallyFields())
	return a
}

// addForCommit adds the keys of the commit script.
func (k *orgKeys) addForCommit(a *scriptArguments) {
	a.key("meta", k.meta)
	a.key("seen", k.seen)
	a.key("series", k.series)
	a.key("cov", k.cov)
	a.key("entries", k.entries)
	a.key("tallies", k.tallies)
	a.key("log", k.log)
	a.key("removed", k.removed)
	a.key("carried", k.carried)
}

// coverageChanges are the changes of the hash "cov", each as the commit script reads it.
type coverageChanges struct{ contacts, set, deleted, signals, gaps, tips []any }

// coverageChanges returns the changes of the hash "cov" that the progress makes.
func (p *commitPlan) coverageChanges() coverageChanges {
	var c coverageChanges
	for i := range p.metadata.Progress.Repos {
		c.add(&p.metadata.Progress.Repos[i], p.newRepos)
	}
	return c
}

// add adds the changes of a repository's progress. newRepos has the repositories that the batch introduces.
func (c *coverageChanges) add(r *ledger.RepoProgress, newRepos map[int64]time.Time) {
	if since, ok := newRepos[r.ID]; ok && since.Equal(r.Since) {
		c.contacts = append(c.contacts, contactField(r.ID), encodeContact(r))
	}
	if r.Name != "" {
		c.set = append(c.set, nameField(r.ID), r.Name)
	}
	if r.Streams != 0 {
		c.set = append(c.set, streamsField(r.ID), encodeStreams(r))
	}
	if r.Presence == ledger.PresenceGone && !r.GoneSince.IsZero() {
		c.set = append(c.set, goneField(r.ID), encodeTime(r.GoneSince))
	} else if r.Presence != ledger.PresenceUnchanged {
		c.deleted = append(c.deleted, goneField(r.ID))
	}
	if r.Signals != nil {
		if value, err := encodeSignals(r); err == nil { // encodeMetadata has encoded them without an error
			c.signals = append(c.signals, signalsField(r.ID), value)
		}
	}
	if tips := encodeTips(r); tips != "" || len(r.ResolvedTips) > 0 {
		c.tips = append(c.tips, tipsField(r.ID), tips, strings.Join(r.ResolvedTips, " "))
	}
	for _, stream := range activity.AllStreams() {
		missed, read := encodeWindows(r.Missed, stream), encodeWindows(r.Read, stream)
		if missed != "" || read != "" {
			c.gaps = append(c.gaps, gapsField(r.ID, stream), missed, read)
		}
	}
}

// encodeTips returns the heads from which the commits of a batch were listed, with blanks between.
func encodeTips(r *ledger.RepoProgress) string {
	tips := r.Tips
	if r.Signals != nil && r.Signals.Head != "" {
		tips = append(slices.Clone(tips), r.Signals.Head)
	}
	return strings.Join(tips, " ")
}

// entryFields returns the list "entries" of the commit script.
func (p *commitPlan) entryFields() []any {
	var list []any
	for i := range p.metadata.Entries {
		entry := &p.metadata.Entries[i]
		list = append(list, joinName(entry.Name, entry.Labels()), encodeTime(entry.Observed)+" "+string(entry.Data))
	}
	return list
}

// tallyFields returns the list "tallies" of the commit script.
func (p *commitPlan) tallyFields() []any {
	var list []any
	for _, t := range p.metadata.Tallies {
		list = append(list, joinName(t.Name, t.Labels), strconv.FormatUint(min(t.Add, math.MaxInt64), 10))
	}
	return list
}
