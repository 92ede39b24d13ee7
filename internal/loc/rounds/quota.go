// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package rounds

import (
	"encoding/binary"
	"math"
	"sync"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
	"github.com/seed-358c4d9d/githubexporter/internal/varint"
)

// entryQuota names the entry that stores how much of the present hour's quota was used.
var entryQuota = ledger.EntryKey{Name: ledger.EntryLinesAllowance}

// commitQuota limits how many commits are requested with their lines in an hour of the clock, over all repositories of
// an organization. It is stored with every step, so that a new leader goes on with what is left of the hour. It is safe
// for concurrent use.
type commitQuota struct {
	limit int

	mu        sync.Mutex
	hourStart time.Time
	used      int
}

// reserve takes up to want commits out of the quota and returns how many those are.
func (q *commitQuota) reserve(now time.Time, want int) int {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.startHour(now)
	got := max(0, min(want, q.limit-q.used))
	q.used += got
	return got
}

// remaining returns how many commits are left, and when the next hour starts.
func (q *commitQuota) remaining(now time.Time) (n int, until time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.startHour(now)
	return max(0, q.limit-q.used), q.hourStart.Add(time.Hour)
}

// startHour resets the quota when now is in a later hour. The lock is held.
func (q *commitQuota) startHour(now time.Time) {
	if hour := now.Truncate(time.Hour); hour.After(q.hourStart) {
		q.hourStart, q.used = hour, 0
	}
}

// encode writes two varints: the hour since 1970, and how much of its quota was used.
func (q *commitQuota) encode() []byte {
	q.mu.Lock()
	defer q.mu.Unlock()
	data := binary.AppendUvarint(nil, uint64(max(0, q.hourStart.Unix()/3600)))
	return binary.AppendUvarint(data, uint64(q.used)) //nolint:gosec // not negative
}

// decode reads what encode wrote. Other data leave the quota as it is.
func (q *commitQuota) decode(data []byte) {
	in := varint.NewReader(data)
	hour, used := in.ReadUvarint(math.MaxInt32), in.ReadUvarint(math.MaxInt32)
	if !in.IsComplete() {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.hourStart, q.used = time.Unix(int64(hour)*3600, 0).UTC(), int(used) //nolint:gosec // 31 bits
}
