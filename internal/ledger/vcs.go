// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"encoding/binary"
	"errors"
	"math"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/varint"
)

// VCSKey returns the key of the entry with a part of what the metrics vcs.* need of a repository.
func VCSKey(repo int64, part VCSPart) EntryKey {
	return EntryKey{Name: EntryVCS, Repo: repo, Sub: string(part)}
}

// VCSPart is a part of what the metrics vcs.* need, which is read by itself. Its values are stored.
type VCSPart string

// The parts.
const (
	VCSChanges      VCSPart = "changes"
	VCSContributors VCSPart = "contributors"
	VCSBranches     VCSPart = "branches"
)

// The first bytes of the documents. Later versions append to a document, or have another one.
const (
	changesVersion      = 2
	contributorsVersion = 1
	branchesVersion     = 1
)

// ErrVCS is returned for data that are no part of a repository.
var ErrVCS = errors.New("not a part of the metrics vcs")

// EncodeVCSChanges returns the data of an entry (VCSChanges) with the signal under which it was read:
//
//	version │ signal │ the numbers by state, each plus one and 0 where it is unknown │ 1 if the list is cut │ for each
//	pull request: its number less the one before, state, 1 if it is from a fork, head, base, Created, Since, Approved,
//	lines added and removed
//
// Texts are after their lengths, numbers are varints, times are seconds since 1970 and 0 for none. What is too large
// for an entry has no list and is cut.
func EncodeVCSChanges(signal string, c *activity.Changes) []byte {
	data := appendText([]byte{changesVersion}, signal)
	for _, n := range c.Count {
		data = appendNumber(data, n)
	}
	head := len(data)
	data = appendFlag(data, c.IsCut)
	last := int64(0)
	for i := range c.List {
		p := &c.List[i]
		data = binary.AppendUvarint(data, uint64(max(0, p.Number-last)))
		data = appendFlag(binary.AppendUvarint(data, uint64(p.State)), p.IsFork)
		data = appendText(appendText(data, p.Head), p.Base)
		data = appendTime(appendTime(appendTime(data, p.Created), p.Since), p.Approved)
		data = appendNumber(appendNumber(data, p.Added), p.Removed)
		last = p.Number
	}
	if len(data) > MaxEntry {
		return appendFlag(data[:head], true)
	}
	return data
}

// DecodeVCSChanges decodes what EncodeVCSChanges encoded. It returns ErrVCS for other data.
func DecodeVCSChanges(data []byte) (signal string, c activity.Changes, err error) {
	in := factsReader(data, changesVersion)
	signal = in.ReadString()
	for s := range c.Count {
		c.Count[s] = readNumber(in)
	}
	c.IsCut = in.ReadUvarint(1) == 1
	for last := int64(0); in.HasMore(); {
		step := int64(in.ReadUvarint(math.MaxInt32)) //nolint:gosec // 31 bits
		p := activity.VCSChange{
			Number: last + step,
			State:  activity.ChangeState(in.ReadUvarint(activity.NumChangeStates - 1)), //nolint:gosec // 2 bits
			IsFork: in.ReadUvarint(1) == 1,
			Head:   in.ReadString(), Base: in.ReadString(),
			Created: readTime(in), Since: readTime(in), Approved: readTime(in),
			Added: readNumber(in), Removed: readNumber(in),
		}
		if step == 0 {
			return "", activity.Changes{}, ErrVCS
		}
		c.List, last = append(c.List, p), p.Number
	}
	if !in.IsComplete() {
		return "", activity.Changes{}, ErrVCS
	}
	return signal, c, nil
}

// EncodeVCSContributors returns the data of an entry (VCSContributors): version │ signal │ the number plus one, 0 where
// it is unknown.
func EncodeVCSContributors(signal string, n activity.Number) []byte {
	return appendNumber(appendText([]byte{contributorsVersion}, signal), n)
}

// DecodeVCSContributors decodes what EncodeVCSContributors encoded. It returns ErrVCS for other data.
func DecodeVCSContributors(data []byte) (signal string, n activity.Number, err error) {
	in := factsReader(data, contributorsVersion)
	signal, n = in.ReadString(), readNumber(in)
	if !in.IsComplete() {
		return "", activity.Number{}, ErrVCS
	}
	return signal, n, nil
}

// EncodeVCSBranches returns the data of an entry (VCSBranches) with the signal under which it was read:
//
//	version │ signal │ the name of the default branch │ its head │ 1 if the list is cut │ for each branch: name, head,
//	1 if it is current, the numbers of commits ahead and behind, each plus one and 0 where it is unknown, First
//
// Texts, numbers and times are as in EncodeVCSChanges. What is too large for an entry has no list and is cut.
func EncodeVCSBranches(signal string, b *activity.Branches) []byte {
	data := appendText(appendText(appendText([]byte{branchesVersion}, signal), b.Trunk), b.Head)
	head := len(data)
	data = appendFlag(data, b.IsCut)
	for i := range b.List {
		branch := &b.List[i]
		data = appendFlag(appendText(appendText(data, branch.Name), branch.Head), branch.IsCurrent)
		data = appendTime(appendNumber(appendNumber(data, branch.Ahead), branch.Behind), branch.First)
	}
	if len(data) > MaxEntry {
		return appendFlag(data[:head], true)
	}
	return data
}

// DecodeVCSBranches decodes what EncodeVCSBranches encoded. It returns ErrVCS for other data.
func DecodeVCSBranches(data []byte) (signal string, b activity.Branches, err error) {
	in := factsReader(data, branchesVersion)
	signal, b.Trunk, b.Head = in.ReadString(), in.ReadString(), in.ReadString()
	b.IsCut = in.ReadUvarint(1) == 1
	for in.HasMore() {
		b.List = append(b.List, activity.VCSBranch{
			Name: in.ReadString(), Head: in.ReadString(), IsCurrent: in.ReadUvarint(1) == 1,
			Ahead: readNumber(in), Behind: readNumber(in), First: readTime(in),
		})
	}
	if !in.IsComplete() {
		return "", activity.Branches{}, ErrVCS
	}
	return signal, b, nil
}

// VCSSignal returns the signal of a document, of whichever part and version; empty for other data.
func VCSSignal(data []byte) string {
	if len(data) == 0 || len(data) > MaxEntry {
		return ""
	}
	return varint.NewReader(data[1:]).ReadString()
}
