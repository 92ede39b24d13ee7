package redisstore

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
)

// maxCommitAttempts bounds how often a commit is planned anew because others changed what it took for granted: each time somebody
// else got on.
const maxCommitAttempts = 32

// errContended is the error of a commit that others outran again and again.
var errContended = errors.New("redis: other writers changed the ledger during every attempt")

// Commit implements ledger.Store. It takes one round trip, and more when this process has not met a repository or the
// organization before, or when the series granted to the organization are used up.
func (s *Store) Commit(ctx context.Context, fence uint64, b ledger.Batch) (ledger.Receipt, error) {
	room := seriesUnlimited
	if s.settings.MaxSeries > 0 {
		room = seriesReport
	}
	var grant seriesGrant
	for range maxCommitAttempts {
		known, err := s.factsFor(ctx, &b)
		if err != nil {
			return ledger.Receipt{}, err
		}
		if b.Basis != "" && b.Basis != known.basis {
			return ledger.Receipt{}, fmt.Errorf("redis: commit to %s: %w", b.Org, ledger.ErrReplaced)
		}
		if b.Basis == "" {
			known.wrote = "" // it builds on nothing
		}
		p, err := newCommitPlan(fence, &b, &known)
		if err != nil {
			return ledger.Receipt{}, err
		}
		if err := s.planSweep(ctx, fence, p); err != nil {
			return ledger.Receipt{}, err
		}
		answer, err := s.runCommit(ctx, b.Org, p.arguments(fence, &known, room, grant))
		if err != nil {
			return ledger.Receipt{}, err
		}
		switch answer.verdict {
		case "OK":
			if b.Basis == "" {
				answer.text = ""
			}
			s.update(b.Org, p.epochAfter(&known), answer.text, p.newRepos)
			return p.receipt(answer.numbers[0], answer.numbers[1]), nil
		case "FENCED":
			return ledger.Receipt{}, ledger.ErrFenced
		case "ROOM":
			if grant, room, err = s.requestGrant(ctx, b.Org, answer); err != nil {
				return ledger.Receipt{}, err
			}
		case "DAMAGED":
			s.resetFacts(b.Org)
			s.settings.OnDamaged(b.Org)
		case "LOST":
			s.recordLoss(b.Org, known.wrote)
		default:
			s.invalidate(b.Org)
		}
	}
	return ledger.Receipt{}, errContended
}

// commitResult is what the script gave.
type commitResult struct {
	verdict string
	text    string   // of OK: the log's last entry that this process wrote; of ROOM: what is granted
	numbers [2]int64 // of OK: recorded, folded; of ROOM: the second is what is wanted
}

func (s *Store) runCommit(ctx context.Context, org string, arguments []any) (commitResult, error) {
	k := s.keys(org)
	values, err := commitScript.Run(ctx, s.scripter,
		[]string{k.meta, k.seen, k.series, k.cov, k.samples, k.tallies, k.log, k.removed, k.carried}, arguments...).Slice()
	if err != nil {
		return commitResult{}, fmt.Errorf("redis: commit to %s: %w", org, err)
	}
	var a commitResult
	if len(values) > 0 {
		a.verdict = replyString(values[0])
	}
	for i, value := range values[1:] {
		if n, ok := value.(int64); ok && i < len(a.numbers) {
			a.numbers[i] = n
		} else {
			a.text = replyString(value)
		}
	}
	return a, nil
}

// commitPlan is what a batch asks of the script.
type commitPlan struct {
	batch      *ledger.Batch
	metadata       ledger.Change // what is said to the followers apart from events
	frame      []byte
	newRepos map[int64]time.Time // repositories that the batch introduces
	eventCount     int
	removedKeys    []any // keys
	dropped    int
	duplicates      int // events that are twice in the batch
	eventKeys     []any
	records    []byte
	lengths    []byte // two bytes each
	seriesIndexes     []byte // two bytes each
	series     seriesTable
	newEpoch   string
}

// seriesTable has the users in repositories of a batch.
type seriesTable struct {
	indexes map[seriesKey]int // from 1 on
	fields []any
	repoLengths  []byte
	newest  []int64
}

type seriesKey struct {
	repo  int64
	actor activity.Actor
}

func newCommitPlan(fence uint64, b *ledger.Batch, known *orgFacts) (*commitPlan, error) {
	p := &commitPlan{batch: b, newRepos: make(map[int64]time.Time), series: seriesTable{indexes: make(map[seriesKey]int)}}
	first := known.epoch == ""
	var err error
	if p.metadata, err = b.Metadata(fence, first, known.prunedTime()); err != nil {
		return nil, err
	}
	if first {
		p.newEpoch = rand.Text()
	}
	p.admitRepos(known)
	p.admitEvents(known)
	for _, key := range b.AuthorizedRemovals(fence) {
		p.removedKeys = append(p.removedKeys, string(appendKey(nil, key)))
	}
	if len(p.series.fields) > maxBatchSeries {
		return nil, fmt.Errorf("%w: %d users in repositories, want at most %d", ledger.ErrInvalid, len(p.series.fields), maxBatchSeries)
	}
	return p, p.encodeMetadata()
}

// admitRepos keeps of the progress what is about repositories that are known or that it introduces.
func (p *commitPlan) admitRepos(known *orgFacts) {
	repos := p.metadata.Progress.Repos[:0]
	for _, r := range p.metadata.Progress.Repos {
		_, met := known.since[r.ID]
		_, again := p.newRepos[r.ID]
		if !met && !again {
			if r.Since.IsZero() {
				continue // from before the ledger lost its memory: the repository will be met again
			}
			p.newRepos[r.ID] = r.Since
		}
		repos = append(repos, r)
	}
	p.metadata.Progress.Repos = repos
}

// encodeMetadata writes what is said. Nothing is said by a batch of events alone.
func (p *commitPlan) encodeMetadata() error {
	c := &p.metadata
	if c.LedgerStart.IsZero() && c.Progress.Edge.IsZero() && len(c.Progress.Repos)+len(c.Entries)+len(c.Tallies) == 0 {
		return nil
	}
	var err error
	p.frame, err = ledger.EncodeChange(*c)
	return err
}

func (p *commitPlan) epochAfter(known *orgFacts) string {
	if known.epoch == "" {
		return p.newEpoch
	}
	return known.epoch
}

// admitEvents plans the events that are wanted, each once.
func (p *commitPlan) admitEvents(known *orgFacts) {
	pruned := known.prunedTime()
	seen := make(map[activity.Key]struct{}, len(p.batch.Events))
	for _, e := range p.batch.Events {
		since, met := known.since[e.Repo]
		if !met {
			since, met = p.newRepos[e.Repo]
		}
		if !met || !p.batch.Admit(&e, since, pruned) {
			p.dropped++
			continue
		}
		if _, twice := seen[e.Key()]; twice {
			p.duplicates++
			continue
		}
		seen[e.Key()] = struct{}{}
		p.addEvent(&e)
	}
}

// addEvent plans an event.
func (p *commitPlan) addEvent(e *activity.Event) {
	from := len(p.records)
	p.records = appendKey(p.records, e.Key())
	p.eventKeys = append(p.eventKeys, string(p.records[from:]))
	p.records = appendActor(appendBody(p.records, e), e.Actor)
	length, place := len(p.records)-from, p.series.indexOf(e)
	p.lengths = append(p.lengths, byte(length>>8), byte(length)) //nolint:gosec // a login is at most 255 bytes
	p.seriesIndexes = append(p.seriesIndexes, byte(place>>8), byte(place))     //nolint:gosec // newPlan checks
	p.eventCount++
}

// maxBatchSeries is how many users in repositories a batch may have: their places have two bytes.
const maxBatchSeries = math.MaxUint16

// indexOf is the place of the event's series.
func (t *seriesTable) indexOf(e *activity.Event) int {
	key := seriesKey{e.Repo, e.Actor}
	n, met := t.indexes[key]
	if !met {
		n = len(t.fields) + 1
		t.indexes[key] = n
		head := appendRepo(nil, e.Repo)
		t.repoLengths = append(t.repoLengths, byte(len(head))) //nolint:gosec // at most ten bytes
		t.fields = append(t.fields, appendActor(head, e.Actor))
		t.newest = append(t.newest, 0)
	}
	if at := e.Time.Unix(); e.Actor.Login != activity.LoginOther && at >= t.newest[n-1] {
		t.newest[n-1] = max(at, 1)
	}
	return n
}

// newestTimes are the newest events of the series as the script wants them: "" for "_other", which is not in the budget.
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

func (p *commitPlan) receipt(recorded, folded int64) ledger.Receipt {
	return ledger.Receipt{
		Recorded: int(recorded), Duplicates: p.duplicates + p.eventCount - int(recorded), Dropped: p.dropped, Folded: int(folded),
	}
}

var (
	otherActor    = string(appendActor(nil, activity.Other()))
	overflowField = joinName(ledger.TallySeriesOverflow, [2]string{})
)

// arguments are what the script takes: see commit.lua.
func (p *commitPlan) arguments(fence uint64, known *orgFacts, room string, g seriesGrant) []any {
	args := make([]any, 0, 64+p.eventCount+3*len(p.series.fields)+4*len(p.metadata.Progress.Repos))
	args = append(args, strconv.FormatUint(fence, 10), known.epoch, p.newEpoch, known.pruned,
		encodeOptionalTime(p.metadata.Progress.Edge), p.frame, room, g.from, g.to, overflowField, encodeOptionalTime(p.metadata.LedgerStart), known.wrote)
	list := func(values []any) {
		args = append(args, len(values))
		args = append(args, values...)
	}
	c := p.coverageChanges()
	list(c.contacts)
	list(p.eventKeys)
	args = append(args, p.records, p.lengths, p.seriesIndexes)
	list(p.series.fields)
	args = append(args, p.series.repoLengths)
	list(p.series.newestTimes())
	args = append(args, otherActor)
	list(c.set)
	list(c.gone)
	list(c.signals)
	list(p.entryFields())
	list(c.windows)
	list(c.tips)
	list(p.removedKeys)
	list(p.tallyFields())
	return args
}

// coverageChanges are the fields of the hash "cov" that a batch changes.
type coverageChanges struct{ contacts, set, gone, signals, windows, tips []any }

func (p *commitPlan) coverageChanges() coverageChanges {
	var c coverageChanges
	for i := range p.metadata.Progress.Repos {
		r := &p.metadata.Progress.Repos[i]
		if since, ok := p.newRepos[r.ID]; ok && since.Equal(r.Since) {
			c.contacts = append(c.contacts, contactField(r.ID), encodeContact(r))
		}
		if r.Name != "" {
			c.set = append(c.set, nameField(r.ID), r.Name)
		}
		if r.Presence == ledger.PresenceGone && !r.GoneSince.IsZero() {
			c.set = append(c.set, goneField(r.ID), encodeTime(r.GoneSince))
		} else if r.Presence != ledger.PresenceUnchanged {
			c.gone = append(c.gone, goneField(r.ID))
		}
		if r.Signals != nil {
			if value, err := encodeSignals(r); err == nil { // it was encoded once already
				c.signals = append(c.signals, signalsField(r.ID), value)
			}
		}
		if tips := encodeTips(r); tips != "" || len(r.ResolvedTips) > 0 {
			c.tips = append(c.tips, tipsField(r.ID), tips, strings.Join(r.ResolvedTips, " "))
		}
		for _, stream := range activity.AllStreams() {
			missed, read := encodeWindows(r.Missed, stream), encodeWindows(r.Read, stream)
			if missed != "" || read != "" {
				c.windows = append(c.windows, gapsField(r.ID, stream), missed, read)
			}
		}
	}
	return c
}

// encodeTips are the heads from which the commits of a batch were listed.
func encodeTips(r *ledger.RepoProgress) string {
	tips := r.Tips
	if r.Signals != nil && r.Signals.Head != "" {
		tips = append(slices.Clone(tips), r.Signals.Head)
	}
	return strings.Join(tips, " ")
}

func (p *commitPlan) entryFields() []any {
	var list []any
	for i := range p.metadata.Entries {
		sample := &p.metadata.Entries[i]
		list = append(list, joinName(sample.Name, sample.Labels),
			encodeTime(sample.Observed)+" "+string(sample.Data))
	}
	return list
}

func (p *commitPlan) tallyFields() []any {
	var list []any
	for _, t := range p.metadata.Tallies {
		list = append(list, joinName(t.Name, t.Labels), strconv.FormatUint(min(t.Add, math.MaxInt64), 10))
	}
	return list
}
