// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"encoding/binary"
	"errors"
	"math"
	"strings"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/varint"
)

// RepoFactsKey returns the key of the entry with what listings tell of a repository.
func RepoFactsKey(repo int64) EntryKey { return EntryKey{Name: EntryRepoFacts, Repo: repo} }

// RepoCountsKey returns the key of the entry with the counts of a repository that are read apart from listings.
func RepoCountsKey(repo int64) EntryKey { return EntryKey{Name: EntryRepoCounts, Repo: repo} }

// LastEventKey returns the key of the entry whose time is that of a repository's newest event.
func LastEventKey(repo int64) EntryKey { return EntryKey{Name: EntryLastEvent, Repo: repo} }

// RepoTotalsKey returns the key of the entry with the number of the organization's repositories.
func RepoTotalsKey() EntryKey { return EntryKey{Name: EntryRepoTotals} }

// The first byte of the entries with facts of repositories. Later versions append to a document, or have another one.
const (
	factsVersion      = 1
	countsVersion     = 2
	repoTotalsVersion = 1
)

// ErrRepoFacts is returned for data that are no facts of repositories.
var ErrRepoFacts = errors.New("not the facts of a repository")

// factFlags returns the flags of facts in the order of their bits.
func factFlags(f *activity.RepoFacts) []*bool {
	return []*bool{
		&f.Archived, &f.Fork, &f.Template, &f.Empty, &f.TemplateKnown, &f.PropertiesKnown,
	}
}

// EncodeRepoFacts returns the data of an entry (EntryRepoFacts):
//
//	version │ flags │ visibility, default branch, language, each after its length │ stars, forks, size, each plus one
//	and 0 where it is unknown │ times of the creation and of the newest push, 0 for none │ number of topics, each
//	with 1 if the repository has it and 0 otherwise │ number of properties, their names and values
//
// Numbers are varints, times are seconds since 1970. Where the facts are too long for an entry the properties are not
// known; it returns nil for facts that are too long without them.
func EncodeRepoFacts(f *activity.RepoFacts) []byte {
	if data := encodeRepoFacts(f); len(data) <= MaxEntry {
		return data
	}
	short := *f
	short.Properties, short.PropertiesKnown = nil, false
	if data := encodeRepoFacts(&short); len(data) <= MaxEntry {
		return data
	}
	return nil
}

// encodeRepoFacts is EncodeRepoFacts for facts of any length.
func encodeRepoFacts(f *activity.RepoFacts) []byte {
	var flags uint64
	for bit, flag := range factFlags(f) {
		if *flag {
			flags |= 1 << bit
		}
	}
	data := binary.AppendUvarint([]byte{factsVersion}, flags)
	for _, text := range []string{f.Visibility, f.DefaultBranch, f.Language} {
		data = appendText(data, text)
	}
	for _, n := range []activity.Number{f.Stars, f.Forks, f.Size} {
		data = appendNumber(data, n)
	}
	data = appendTime(appendTime(data, f.CreatedAt), f.PushedAt)
	data = binary.AppendUvarint(data, uint64(len(f.Topics)))
	for _, topic := range f.Topics {
		data = appendFlag(appendText(data, topic.Name), topic.Has)
	}
	data = binary.AppendUvarint(data, uint64(len(f.Properties)))
	for _, p := range f.Properties {
		data = appendText(appendText(data, p.Name), p.Value)
	}
	return data
}

// DecodeRepoFacts decodes what EncodeRepoFacts encoded. It returns ErrRepoFacts for other data.
func DecodeRepoFacts(data []byte) (activity.RepoFacts, error) {
	in := factsReader(data, factsVersion)
	var f activity.RepoFacts
	bits := factFlags(&f)
	flags := in.ReadUvarint(1<<len(bits) - 1)
	for bit, flag := range bits {
		*flag = flags&(1<<bit) != 0
	}
	f.Visibility, f.DefaultBranch, f.Language = in.ReadString(), in.ReadString(), in.ReadString()
	f.Stars, f.Forks, f.Size = readNumber(in), readNumber(in), readNumber(in)
	f.CreatedAt, f.PushedAt = readTime(in), readTime(in)
	for range in.ReadUvarint(MaxEntry) {
		f.Topics = append(f.Topics, activity.Topic{Name: in.ReadString(), Has: in.ReadUvarint(1) == 1})
		if !in.IsValid() {
			break
		}
	}
	for range in.ReadUvarint(MaxEntry) {
		f.Properties = append(f.Properties, activity.Property{Name: in.ReadString(), Value: in.ReadString()})
		if !in.IsValid() {
			break
		}
	}
	if !in.IsComplete() {
		return activity.RepoFacts{}, ErrRepoFacts
	}
	return f, nil
}

// EncodeRepoCounts returns the data of an entry (EntryRepoCounts):
//
//	version │ watchers, branches, tags, releases, each plus one and 0 where it is unknown │ the time of the latest
//	release, 0 for none │ the digest of the facts; numbers are varints
func EncodeRepoCounts(c *activity.RepoCounts) []byte {
	data := []byte{countsVersion}
	for _, n := range []activity.Number{c.Watchers, c.Branches, c.Tags, c.Releases} {
		data = appendNumber(data, n)
	}
	return binary.AppendUvarint(appendTime(data, c.LatestRelease), c.OfFacts)
}

// DecodeRepoCounts decodes what EncodeRepoCounts encoded. It returns ErrRepoFacts for other data.
func DecodeRepoCounts(data []byte) (activity.RepoCounts, error) {
	in := factsReader(data, countsVersion)
	c := activity.RepoCounts{
		Watchers: readNumber(in), Branches: readNumber(in), Tags: readNumber(in), Releases: readNumber(in),
		LatestRelease: readTime(in), OfFacts: in.ReadUvarint(math.MaxUint64),
	}
	if !in.IsComplete() {
		return activity.RepoCounts{}, ErrRepoFacts
	}
	return c, nil
}

// RepoTotal is the number of repositories with a visibility and a state.
type RepoTotal struct {
	Visibility string
	State      activity.RepoState
	Count      uint64
}

// EncodeRepoTotals returns the data of an entry (EntryRepoTotals): version │ for each total the visibility after its
// length, the state and the number, as varints.
func EncodeRepoTotals(totals []RepoTotal) []byte {
	data := []byte{repoTotalsVersion}
	for i := range totals {
		data = appendText(data, totals[i].Visibility)
		data = binary.AppendUvarint(data, uint64(totals[i].State))
		data = binary.AppendUvarint(data, totals[i].Count)
	}
	return data
}

// DecodeRepoTotals decodes what EncodeRepoTotals encoded. It returns ErrRepoFacts for other data.
func DecodeRepoTotals(data []byte) ([]RepoTotal, error) {
	in := factsReader(data, repoTotalsVersion)
	var totals []RepoTotal
	for in.HasMore() {
		total := RepoTotal{Visibility: in.ReadString()}
		total.State = activity.RepoState(in.ReadUvarint(activity.NumRepoStates - 1)) //nolint:gosec // bounded
		total.Count = in.ReadUvarint(math.MaxInt64)
		totals = append(totals, total)
	}
	if !in.IsComplete() {
		return nil, ErrRepoFacts
	}
	return totals, nil
}

// factsReader returns a reader behind the version of a document, invalid for one of another version.
func factsReader(data []byte, version byte) *varint.Reader {
	if len(data) == 0 || len(data) > MaxEntry || data[0] != version {
		in := varint.NewReader(nil)
		in.Invalidate()
		return in
	}
	return varint.NewReader(data[1:])
}

// appendText appends a text after its length. What is no UTF-8 would be no label.
func appendText(data []byte, text string) []byte {
	text = strings.ToValidUTF8(text, "\uFFFD")
	return append(binary.AppendUvarint(data, uint64(len(text))), text...)
}

// appendNumber appends a number plus one, or 0 for an unknown one.
func appendNumber(data []byte, n activity.Number) []byte {
	if !n.IsKnown {
		return binary.AppendUvarint(data, 0)
	}
	return binary.AppendUvarint(data, min(n.Value, math.MaxInt64-1)+1)
}

// readNumber reads what appendNumber appended.
func readNumber(in *varint.Reader) activity.Number {
	n := in.ReadUvarint(math.MaxInt64)
	if n == 0 {
		return activity.Number{}
	}
	return activity.KnownNumber(n - 1)
}

// appendFlag appends a flag.
func appendFlag(data []byte, is bool) []byte {
	if is {
		return append(data, 1)
	}
	return append(data, 0)
}

// appendTime appends the seconds of a time since 1970, 0 for none.
func appendTime(data []byte, at time.Time) []byte {
	return binary.AppendUvarint(data, uint64(Unix32(at)))
}

// readTime reads what appendTime appended.
func readTime(in *varint.Reader) time.Time {
	seconds := in.ReadUvarint(math.MaxUint32)
	if seconds == 0 {
		return time.Time{}
	}
	return time.Unix(int64(seconds), 0).UTC() //nolint:gosec // 32 bits
}
