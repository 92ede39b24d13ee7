// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package loc

import (
	"encoding/binary"
	"errors"
	"math"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/varint"
)

// The versions of the code of a state. The older one has no rewrite, and is written where there was none.
const (
	version        = 1
	versionRewound = 2
)

const (
	flagQuiet = 1 << iota
	flagFallback
	flagIncomplete
	flagOutdated  // from versionRewound on
	flagsVersion1 = flagQuiet | flagFallback | flagIncomplete
)

// maxHead bounds the name of a commit in bytes.
const maxHead = 128

// ErrInvalidState refuses what is no state.
var ErrInvalidState = errors.New("not a state of weekly lines")

// Encode is the state in whole seconds:
//
//	version, flags (1 byte each) │ times, counts and waits as varints │ the head's length and the head │
//	from version 2 on Rewound
func (s *State) Encode() []byte {
	data := []byte{
		version, flag(s.QuietWeek, flagQuiet) | flag(s.Fallback, flagFallback) | flag(s.Incomplete, flagIncomplete),
	}
	if !s.RewrittenAt.IsZero() {
		data[0], data[1] = versionRewound, data[1]|flag(s.Outdated, flagOutdated)
	}
	for _, t := range []time.Time{
		s.Week, s.ConfirmedAt, s.FallbackUntil, s.StatisticsRetry.At, s.Commits.Week,
		s.Commits.Retry.At,
	} {
		data = binary.AppendUvarint(data, seconds(t))
	}
	for _, n := range []int{
		s.ZeroAnswers, int(s.StatisticsRetry.Wait / time.Second), s.Commits.Position, s.Commits.Requested,
		int(s.Commits.Retry.Wait / time.Second),
	} {
		data = binary.AppendUvarint(data, uint64(min(max(0, n), math.MaxInt32)))
	}
	data = binary.AppendUvarint(data, uint64(len(s.Commits.Head)))
	data = append(data, s.Commits.Head...)
	if !s.RewrittenAt.IsZero() {
		data = binary.AppendUvarint(data, seconds(s.RewrittenAt))
	}
	return data
}

// Decode is a state that was encoded, or ErrState.
func Decode(data []byte) (State, error) {
	var s State
	if len(data) < 2 || !hasValidFlags(data[0], data[1]) {
		return s, ErrInvalidState
	}
	s.QuietWeek, s.Fallback, s.Incomplete = data[1]&flagQuiet != 0, data[1]&flagFallback != 0,
		data[1]&flagIncomplete != 0
	in := stateReader{varint.NewReader(data[2:])}
	for _, t := range []*time.Time{
		&s.Week, &s.ConfirmedAt, &s.FallbackUntil, &s.StatisticsRetry.At, &s.Commits.Week,
		&s.Commits.Retry.At,
	} {
		*t = in.time()
	}
	s.ZeroAnswers = in.count()
	s.StatisticsRetry.Wait = time.Duration(in.count()) * time.Second
	s.Commits.Position, s.Commits.Requested = in.count(), in.count()
	s.Commits.Retry.Wait = time.Duration(in.count()) * time.Second
	s.Commits.Head = in.ReadString()
	if data[0] == versionRewound {
		s.RewrittenAt, s.Outdated = in.time(), data[1]&flagOutdated != 0
	}
	if !in.IsComplete() || len(s.Commits.Head) > maxHead || !activity.IsPrintable(s.Commits.Head) {
		return State{}, ErrInvalidState
	}
	return s, nil
}

// hasValidFlags reports whether a version is known and has such flags.
func hasValidFlags(of, flags byte) bool {
	switch of {
	case version:
		return flags&^flagsVersion1 == 0
	case versionRewound:
		return flags&^(flagsVersion1|flagOutdated) == 0
	default:
		return false
	}
}

// flag returns a bit when it is set, 0 otherwise.
func flag(set bool, bit byte) byte {
	if set {
		return bit
	}
	return 0
}

// seconds are since 1970, 0 for the zero time.
func seconds(t time.Time) uint64 { return uint64(max(0, t.Unix())) }

// stateReader reads what Encode wrote.
type stateReader struct{ *varint.Reader }

// time reads a time.
func (in stateReader) time() time.Time {
	n := in.ReadUvarint(math.MaxUint32)
	if n == 0 {
		return time.Time{}
	}
	return time.Unix(int64(n), 0).UTC() //nolint:gosec // 32 bits
}

// count reads a number.
func (in stateReader) count() int { return int(in.ReadUvarint(math.MaxInt32)) } //nolint:gosec // 31 bits
