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

// maxTries bounds how often a commit is planned anew because others changed what it took for granted: each time somebody
// else got on.
const maxTries = 32

// errContended is the error of a commit that others outran again and again.
var errContended = errors.New("redis: other writers changed the ledger during every attempt")

// Commit implements ledger.Store. It takes one round trip, and more when this process has not met a repository or the
// organization before, or when the series granted to the organization are used up.
func (s *Store) Commit(ctx context.Context, fence uint64, b ledger.Batch) (ledger.Receipt, error) {
	room := roomAny
	if s.settings.MaxSeries > 0 {
		room = roomAsk
	}
	var grant grant
	for range maxTries {
		known, err := s.facts(ctx, &b)
		if err != nil {
			return ledger.Receipt{}, err
		}
		if b.Basis != "" && b.Basis != known.basis {
			return ledger.Receipt{}, fmt.Errorf("redis: commit to %s: %w", b.Org, ledger.ErrReplaced)
		}
		if b.Basis == "" {
			known.wrote = "" // it builds on nothing
		}
		p, err := newPlan(fence, &b, &known)
		if err != nil {
			return ledger.Receipt{}, err
		}
		if err := s.sweep(ctx, fence, p); err != nil {
			return ledger.Receipt{}, err
		}
		answer, err := s.run(ctx, b.Org, p.arguments(fence, &known, room, grant))
		if err != nil {
			return ledger.Receipt{}, err
		}
		switch answer.verdict {
		case "OK":
			if b.Basis == "" {
				answer.text = ""
			}
			s.learn(b.Org, p.epoch(&known), answer.text, p.introduced)
			return p.receipt(answer.numbers[0], answer.numbers[1]), nil
		case "FENCED":
			return ledger.Receipt{}, ledger.ErrFenced
		case "ROOM":
			if grant, room, err = s.grant(ctx, b.Org, answer); err != nil {
				return ledger.Receipt{}, err
			}
		case "DAMAGED":
			s.reset(b.Org)
			s.settings.OnDamaged(b.Org)
		case "LOST":
			s.lose(b.Org, known.wrote)
		default:
			s.forget(b.Org)
		}
	}
	return ledger.Receipt{}, errContended
}

// answer is what the script gave.
type answer struct {
	verdict string
	text    string   // of OK: the log's last entry that this process wrote; of ROOM: what is granted
	numbers [2]int64 // of OK: recorded, folded; of ROOM: the second is what is wanted
}

func (s *Store) run(ctx context.Context, org string, arguments []any) (answer, error) {
	k := s.keys(org)
	values, err := commitScript.Run(ctx, s.pipeline,
		[]string{k.meta, k.seen, k.series, k.cov, k.samples, k.tallies, k.log, k.removed, k.carried}, arguments...).Slice()
	if err != nil {
		return answer{}, fmt.Errorf("redis: commit to %s: %w", org, err)
	}
	var a answer
	if len(values) > 0 {
		a.verdict = text(values[0])
	}
	for i, value := range values[1:] {
		if n, ok := value.(int64); ok && i < len(a.numbers) {
			a.numbers[i] = n
		} else {
			a.text = text(value)
		}
	}
	return a, nil
}

// plan is what a batch asks of the script.
type plan struct {
	batch      *ledger.Batch
	said       ledger.Change // what is said to the followers apart from events
	frame      []byte
	introduced map[int64]time.Time // repositories that the batch introduces
	events     int
	removed    []any // keys
	dropped    int
	known      int // events that are twice in the batch
	fields     []any
	records    []byte
	lengths    []byte // two bytes each
	places     []byte // two bytes each
	series     seriesTable
	newEpoch   string
}

// seriesTable has the users in repositories of a batch.
type seriesTable struct {
	places map[seriesOf]int // from 1 on
	fields []any
	heads  []byte
	times  []int64
}

type seriesOf struct {
	repo  int64
	actor activity.Actor
}

func newPlan(fence uint64, b *ledger.Batch, known *facts) (*plan, error) {
	p := &plan{batch: b, introduced: make(map[int64]time.Time), series: seriesTable{places: make(map[seriesOf]int)}}
	first := known.epoch == ""
	var err error
	if p.said, err = b.Metadata(fence, first, known.prunedTime()); err != nil {
		return nil, err
	}
	if first {
		p.newEpoch = rand.Text()
	}
	p.introduce(known)
	p.take(known)
	for _, key := range b.AuthorizedRemovals(fence) {
		p.removed = append(p.removed, string(appendKey(nil, key)))
	}
	if len(p.series.fields) > maxSeriesOfBatch {
		return nil, fmt.Errorf("%w: %d users in repositories, want at most %d", ledger.ErrInvalid, len(p.series.fields), maxSeriesOfBatch)
	}
	return p, p.encode()
}

// introduce keeps of the progress what is about repositories that are known or that it introduces.
func (p *plan) introduce(known *facts) {
	repos := p.said.Progress.Repos[:0]
	for _, r := range p.said.Progress.Repos {
		_, met := known.since[r.ID]
		_, again := p.introduced[r.ID]
		if !met && !again {
			if r.Since.IsZero() {
				continue // from before the ledger lost its memory: the repository will be met again
			}
			p.introduced[r.ID] = r.Since
		}
		repos = append(repos, r)
	}
	p.said.Progress.Repos = repos
}

// encode writes what is said. Nothing is said by a batch of events alone.
func (p *plan) encode() error {
	c := &p.said
	if c.LedgerStart.IsZero() && c.Progress.Edge.IsZero() && len(c.Progress.Repos)+len(c.Entries)+len(c.Tallies) == 0 {
		return nil
	}
	var err error
	p.frame, err = ledger.EncodeChange(*c)
	return err
}

func (p *plan) epoch(known *facts) string {
	if known.epoch == "" {
		return p.newEpoch
	}
	return known.epoch
}

// take plans the events that are wanted, each once.
func (p *plan) take(known *facts) {
	pruned := known.prunedTime()
	seen := make(map[activity.Key]struct{}, len(p.batch.Events))
	for _, e := range p.batch.Events {
		since, met := known.since[e.Repo]
		if !met {
			since, met = p.introduced[e.Repo]
		}
		if !met || !p.batch.Admit(&e, since, pruned) {
			p.dropped++
			continue
		}
		if _, twice := seen[e.Key()]; twice {
			p.known++
			continue
		}
		seen[e.Key()] = struct{}{}
		p.add(&e)
	}
}

// add plans an event.
func (p *plan) add(e *activity.Event) {
	from := len(p.records)
	p.records = appendKey(p.records, e.Key())
	p.fields = append(p.fields, string(p.records[from:]))
	p.records = appendActor(appendBody(p.records, e), e.Actor)
	length, place := len(p.records)-from, p.series.place(e)
	p.lengths = append(p.lengths, byte(length>>8), byte(length)) //nolint:gosec // a login is at most 255 bytes
	p.places = append(p.places, byte(place>>8), byte(place))     //nolint:gosec // newPlan checks
	p.events++
}

// maxSeriesOfBatch is how many users in repositories a batch may have: their places have two bytes.
const maxSeriesOfBatch = math.MaxUint16

// place is the place of the event's series.
func (t *seriesTable) place(e *activity.Event) int {
	key := seriesOf{e.Repo, e.Actor}
	n, met := t.places[key]
	if !met {
		n = len(t.fields) + 1
		t.places[key] = n
		head := appendRepo(nil, e.Repo)
		t.heads = append(t.heads, byte(len(head))) //nolint:gosec // at most ten bytes
		t.fields = append(t.fields, appendActor(head, e.Actor))
		t.times = append(t.times, 0)
	}
	if at := e.Time.Unix(); e.Actor.Login != activity.LoginOther && at >= t.times[n-1] {
		t.times[n-1] = max(at, 1)
	}
	return n
}

// newestEvents are the newest events of the series as the script wants them: "" for "_other", which is not in the budget.
func (t *seriesTable) newestEvents() []any {
	list := make([]any, len(t.times))
	for i, at := range t.times {
		if at == 0 {
			list[i] = ""
		} else {
			list[i] = strconv.FormatInt(at, 10)
		}
	}
	return list
}

func (p *plan) receipt(recorded, folded int64) ledger.Receipt {
	return ledger.Receipt{
		Recorded: int(recorded), Duplicates: p.known + p.events - int(recorded), Dropped: p.dropped, Folded: int(folded),
	}
}

var (
	otherActor    = string(appendActor(nil, activity.Other()))
	overflowField = joinName(ledger.TallySeriesOverflow, [2]string{})
)

// arguments are what the script takes: see commit.lua.
func (p *plan) arguments(fence uint64, known *facts, room string, g grant) []any {
	args := make([]any, 0, 64+p.events+3*len(p.series.fields)+4*len(p.said.Progress.Repos))
	args = append(args, strconv.FormatUint(fence, 10), known.epoch, p.newEpoch, known.pruned,
		unix(p.said.Progress.Edge), p.frame, room, g.from, g.to, overflowField, unix(p.said.LedgerStart), known.wrote)
	list := func(values []any) {
		args = append(args, len(values))
		args = append(args, values...)
	}
	c := p.coverage()
	list(c.contacts)
	list(p.fields)
	args = append(args, p.records, p.lengths, p.places)
	list(p.series.fields)
	args = append(args, p.series.heads)
	list(p.series.newestEvents())
	args = append(args, otherActor)
	list(c.set)
	list(c.gone)
	list(c.signals)
	list(p.samples())
	list(c.windows)
	list(c.tips)
	list(p.removed)
	list(p.tallies())
	return args
}

// coverageArguments are the fields of the hash "cov" that a batch changes.
type coverageArguments struct{ contacts, set, gone, signals, windows, tips []any }

func (p *plan) coverage() coverageArguments {
	var c coverageArguments
	for i := range p.said.Progress.Repos {
		r := &p.said.Progress.Repos[i]
		if since, ok := p.introduced[r.ID]; ok && since.Equal(r.Since) {
			c.contacts = append(c.contacts, contactField(r.ID), contactValue(r))
		}
		if r.Name != "" {
			c.set = append(c.set, nameField(r.ID), r.Name)
		}
		if r.Presence == ledger.PresenceGone && !r.GoneSince.IsZero() {
			c.set = append(c.set, goneField(r.ID), stamp(r.GoneSince))
		} else if r.Presence != ledger.PresenceUnchanged {
			c.gone = append(c.gone, goneField(r.ID))
		}
		if r.Signals != nil {
			if value, err := signalsValue(r); err == nil { // it was encoded once already
				c.signals = append(c.signals, signalsField(r.ID), value)
			}
		}
		if tips := tipsOf(r); tips != "" || len(r.ResolvedTips) > 0 {
			c.tips = append(c.tips, tipsField(r.ID), tips, strings.Join(r.ResolvedTips, " "))
		}
		for _, stream := range activity.AllStreams() {
			missed, read := windowsValue(r.Missed, stream), windowsValue(r.Read, stream)
			if missed != "" || read != "" {
				c.windows = append(c.windows, missingField(r.ID, stream), missed, read)
			}
		}
	}
	return c
}

// tipsOf are the heads from which the commits of a batch were listed.
func tipsOf(r *ledger.RepoProgress) string {
	tips := r.Tips
	if r.Signals != nil && r.Signals.Head != "" {
		tips = append(slices.Clone(tips), r.Signals.Head)
	}
	return strings.Join(tips, " ")
}

func (p *plan) samples() []any {
	var list []any
	for i := range p.said.Entries {
		sample := &p.said.Entries[i]
		list = append(list, joinName(sample.Name, sample.Labels),
			stamp(sample.Observed)+" "+string(sample.Data))
	}
	return list
}

func (p *plan) tallies() []any {
	var list []any
	for _, t := range p.said.Tallies {
		list = append(list, joinName(t.Name, t.Labels), strconv.FormatUint(min(t.Add, math.MaxInt64), 10))
	}
	return list
}
