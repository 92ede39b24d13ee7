package collect

import (
	"encoding/binary"
	"math"
	"sync"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
	"github.com/seed-358c4d9d/githubexporter/internal/varint"
)

// entryAllowance names the sample that has what was used of the present hour.
var entryAllowance = ledger.EntryKey{Name: ledger.EntryLinesAllowance}

// commitQuota is how many commits may be asked for their lines in an hour of the clock, over all repositories. Every leader knows
// what the one before has used. It is safe for concurrent use.
type commitQuota struct {
	limit int

	mu        sync.Mutex
	hourStart time.Time
	used      int
}

// reserve gives up to so many.
func (a *commitQuota) reserve(now time.Time, want int) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.startHour(now)
	got := max(0, min(want, a.limit-a.used))
	a.used += got
	return got
}

// remaining is how many there are, and when there will be others.
func (a *commitQuota) remaining(now time.Time) (n int, until time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.startHour(now)
	return max(0, a.limit-a.used), a.hourStart.Add(time.Hour)
}

// startHour begins another hour when it is time.
func (a *commitQuota) startHour(now time.Time) {
	if hour := now.Truncate(time.Hour); hour.After(a.hourStart) {
		a.hourStart, a.used = hour, 0
	}
}

// encode is the hour since 1970 and what was used of it, as varints.
func (a *commitQuota) encode() []byte {
	a.mu.Lock()
	defer a.mu.Unlock()
	data := binary.AppendUvarint(nil, uint64(max(0, a.hourStart.Unix()/3600)))
	return binary.AppendUvarint(data, uint64(a.used)) //nolint:gosec // not negative
}

// decode takes what was encoded; what was not is as good as nothing.
func (a *commitQuota) decode(data []byte) {
	in := varint.NewReader(data)
	hour, used := in.ReadUvarint(math.MaxInt32), in.ReadUvarint(math.MaxInt32)
	if !in.IsComplete() {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.hourStart, a.used = time.Unix(int64(hour)*3600, 0).UTC(), int(used) //nolint:gosec // 31 bits
}
