// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package redisstore

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
)

// The hash "cov" has for each repository, by its id:
//
//	c<id>           first contact and start of recording: "contact since", set once
//	n<id>           name
//	g<id>           since when it is gone; absent while it is present
//	i<id>           the streams that the repository has, and "stream:contact" for each that came later than it; absent
//	                before a version that knew more than the first three
//	s<id>           signals: "observed frame", the newest observation wins
//	m<id>:<stream>  gaps: "start end start end ..." in ascending order
//	t<id>           heads from which commits were recorded, that of the signals included, with blanks between
//
// Times are those of encodeTime.

func contactField(id int64) string { return "c" + strconv.FormatInt(id, 10) }
func nameField(id int64) string    { return "n" + strconv.FormatInt(id, 10) }
func goneField(id int64) string    { return "g" + strconv.FormatInt(id, 10) }
func signalsField(id int64) string { return "s" + strconv.FormatInt(id, 10) }

func streamsField(id int64) string { return "i" + strconv.FormatInt(id, 10) }

func tipsField(id int64) string { return "t" + strconv.FormatInt(id, 10) }

func gapsField(id int64, stream activity.Stream) string {
	return "m" + strconv.FormatInt(id, 10) + ":" + strconv.Itoa(int(stream))
}

// encodeContact returns the value of contactField.
func encodeContact(p *ledger.RepoProgress) string {
	return encodeTime(p.FirstSeen) + " " + encodeTime(p.Since)
}

// parseContact decodes what encodeContact encoded.
func parseContact(value string) (contact, since time.Time, ok bool) {
	first, second, ok := strings.Cut(value, " ")
	if !ok {
		return contact, since, false
	}
	contact, ok1 := parseTime(first)
	since, ok2 := parseTime(second)
	return contact, since, ok1 && ok2
}

// encodeSignals returns the value of signalsField: when the signals were observed, and their frame.
func encodeSignals(p *ledger.RepoProgress) (string, error) {
	frame, err := ledger.EncodeChange(ledger.Change{Progress: ledger.Progress{
		Repos: []ledger.RepoProgress{{ID: p.ID, Signals: p.Signals}},
	}})
	return encodeTime(p.Observed) + " " + string(frame), err
}

// encodeWindows returns the windows of a stream as the commit script reads them: "start end start end ...".
func encodeWindows(list []ledger.StreamWindow, stream activity.Stream) string {
	var b strings.Builder
	for _, w := range list {
		if w.Stream != stream || w.Window.IsEmpty() {
			continue
		}
		if b.Len() > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(encodeTime(w.Window.Start) + " " + encodeTime(w.Window.End))
	}
	return b.String()
}

// parseWindows decodes the value of gapsField.
func parseWindows(value string) (activity.Windows, error) {
	numbers := strings.Fields(value)
	if len(numbers)%2 != 0 {
		return nil, fmt.Errorf("%w: a window without an end", ledger.ErrCorrupt)
	}
	var windows activity.Windows
	for i := 0; i < len(numbers); i += 2 {
		start, ok1 := parseTime(numbers[i])
		end, ok2 := parseTime(numbers[i+1])
		w := activity.Window{Start: start, End: end}
		if !ok1 || !ok2 || w.IsEmpty() {
			return nil, fmt.Errorf("%w: an invalid window", ledger.ErrCorrupt)
		}
		windows = windows.Add(w)
	}
	return windows, nil
}

// Coverage implements ledger.Store.
func (s *Store) Coverage(ctx context.Context, org string) (ledger.Coverage, error) {
	keys, basis := s.keys(org), s.currentBasis(org) // the basis first: a loss during the reading must change it
	pipe := s.client.TxPipeline()
	meta := pipe.HMGet(ctx, keys.meta, "began", "edge", "epoch", "pruned")
	cov := pipe.HGetAll(ctx, keys.cov)
	if _, err := pipe.Exec(ctx); err != nil {
		return ledger.Coverage{}, fmt.Errorf("redis: read the coverage of %s: %w", org, err)
	}
	var coverage ledger.Coverage
	values, fields := meta.Val(), cov.Val()
	if replyString(values[2]) == "" {
		fields = nil // left over: the next commit deletes them
	}
	coverage.LedgerStart = parseOptionalTime(replyString(values[0]))
	coverage.Apply(s.decodeProgress(keys.cov, replyString(values[1]), fields))
	coverage.Basis = s.cacheCoverage(org, replyString(values[2]), replyString(values[3]), basis, &coverage)
	return coverage, nil
}

// currentBasis returns the basis of a coverage whose reading starts now.
func (s *Store) currentBasis(org string) string {
	c := s.cacheOf(org)
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.currentBasis()
}

// cacheCoverage caches the facts of a coverage and returns its basis: the one from before the reading, unless the
// coverage is that of another ledger.
func (s *Store) cacheCoverage(org, epoch, pruned, basis string, cov *ledger.Coverage) string {
	c := s.cacheOf(org)
	c.mu.Lock()
	defer c.mu.Unlock()
	f := orgFacts{epoch: epoch, pruned: pruned, since: make(map[int64]time.Time, len(cov.Repos))}
	for id, r := range cov.Repos {
		f.since[id] = r.Since
	}
	if c.epoch != "" && epoch != c.epoch && basis == c.currentBasis() {
		c.replaceFacts(f)
		return c.currentBasis()
	}
	c.replaceFacts(f)
	return basis
}

// decodeProgress returns the fields of a hash "cov" as the progress of one batch. It reports values that fail to
// decode.
func (s *Store) decodeProgress(key, edge string, fields map[string]string) ledger.Progress {
	repos := make(map[int64]*ledger.RepoProgress)
	for field, value := range fields { // the repositories first
		if id, ok := parseRepoField(field, 'c'); ok {
			contact, since, ok := parseContact(value)
			if !ok {
				s.reportCorrupt(key, field, ledger.ErrCorrupt)
				continue // the next discovery introduces it again
			}
			repos[id] = &ledger.RepoProgress{ID: id, FirstSeen: contact, Since: since}
		}
	}
	p := ledger.Progress{Edge: parseOptionalTime(edge)}
	for field, value := range fields {
		if field == markerField {
			continue
		}
		if err := decodeField(repos, p.Edge, field, value); err != nil {
			s.reportCorrupt(key, field, err)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(repos)) {
		p.Repos = append(p.Repos, *repos[id])
	}
	return p
}

// reportCorrupt reports a value of a hash that fails to decode.
func (s *Store) reportCorrupt(key, field string, err error) {
	s.settings.OnCorrupt(key+" "+field, err)
}

// parseRepoField returns the id of the repository of a field that starts with the letter.
func parseRepoField(field string, letter byte) (int64, bool) {
	if field == "" || field[0] != letter {
		return 0, false
	}
	id, err := strconv.ParseInt(field[1:], 10, 64)
	return id, err == nil && id > 0
}

// decodeField adds a field to the progress of its repository.
func decodeField(repos map[int64]*ledger.RepoProgress, edge time.Time, field, value string) error {
	if len(field) < 2 {
		return ledger.ErrCorrupt
	}
	number, stream, _ := strings.Cut(field[1:], ":")
	id, err := strconv.ParseInt(number, 10, 64)
	if err != nil {
		return fmt.Errorf("%w: %w", ledger.ErrCorrupt, err)
	}
	p := repos[id]
	if p == nil {
		return nil // reported with its contact, if it has one
	}
	switch field[0] {
	case 'c':
		return nil
	case 'n':
		p.Name = value
		return nil
	case 'g':
		return decodeGone(p, value)
	case 'i':
		return decodeStreams(p, value)
	case 's':
		return decodeSignals(p, value)
	case 'm':
		return decodeGaps(p, edge, stream, value)
	case 't':
		return decodeTips(p, value)
	default:
		return ledger.ErrCorrupt
	}
}

// decodeGone decodes the value of goneField.
func decodeGone(p *ledger.RepoProgress, value string) error {
	since, ok := parseTime(value)
	if !ok {
		return ledger.ErrCorrupt // counts as present until the next discovery
	}
	p.Presence, p.GoneSince = ledger.PresenceGone, since
	return nil
}

// encodeStreams returns the value of streamsField.
func encodeStreams(p *ledger.RepoProgress) string {
	fields := []string{strconv.Itoa(int(p.Streams))}
	for _, c := range p.Contacts {
		fields = append(fields, strconv.Itoa(int(c.Stream))+":"+encodeTime(c.At))
	}
	return strings.Join(fields, " ")
}

// decodeStreams decodes the value of streamsField.
func decodeStreams(p *ledger.RepoProgress, value string) error {
	set, contacts, _ := strings.Cut(value, " ")
	n, err := strconv.ParseUint(set, 10, 8)
	if err != nil || activity.Streams(n)&^activity.EveryStream != 0 {
		return fmt.Errorf("%w: streams %.64q", ledger.ErrCorrupt, value) // the next pass introduces them again
	}
	var list []ledger.StreamContact
	for contact := range strings.FieldsSeq(contacts) {
		stream, text, _ := strings.Cut(contact, ":")
		s, err := strconv.ParseUint(stream, 10, 8)
		at, ok := parseTime(text)
		if err != nil || activity.Stream(s) >= activity.NumStreams || !ok {
			return fmt.Errorf("%w: streams %.64q", ledger.ErrCorrupt, value)
		}
		list = append(list, ledger.StreamContact{Stream: activity.Stream(s), At: at})
	}
	p.Streams, p.Contacts = activity.Streams(n), list
	return nil
}

// decodeSignals decodes the value of signalsField.
func decodeSignals(p *ledger.RepoProgress, value string) error {
	observed, frame, _ := strings.Cut(value, " ")
	at, ok := parseTime(observed)
	c, err := ledger.DecodeChange([]byte(frame))
	if err != nil || !ok || len(c.Progress.Repos) != 1 {
		return fmt.Errorf("%w: signals", ledger.ErrCorrupt) // without signals all streams are read again
	}
	p.Observed, p.Signals = at, c.Progress.Repos[0].Signals
	return nil
}

// decodeGaps decodes the gaps of a stream. If that fails the whole retention is a gap: reading it again records nothing
// twice.
func decodeGaps(p *ledger.RepoProgress, edge time.Time, stream, value string) error {
	n, err := strconv.ParseUint(stream, 10, 8)
	if err != nil || activity.Stream(n) >= activity.NumStreams {
		return fmt.Errorf("%w: stream %q", ledger.ErrCorrupt, stream)
	}
	windows, err := parseWindows(value)
	if err != nil {
		windows = activity.Windows{{Start: p.Since, End: edge}}
	}
	for _, w := range windows {
		p.Missed = append(p.Missed, ledger.StreamWindow{Stream: activity.Stream(n), Window: w})
	}
	return err
}

// decodeTips decodes the heads. If that fails it sets the tip that stands for unknown ones.
func decodeTips(p *ledger.RepoProgress, value string) error {
	for tip := range strings.FieldsSeq(value) {
		if len(tip) > 64 || strings.Trim(tip, "0123456789abcdef") != "" {
			p.Tips = []string{ledger.UnknownTip}
			return fmt.Errorf("%w: heads", ledger.ErrCorrupt)
		}
		p.Tips = append(p.Tips, tip)
	}
	return nil
}
