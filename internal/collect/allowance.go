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
var entryAllowance = ledger.EntryKey{Name: "lines_allowance"}

// allowance is how many commits may be asked for their lines in an hour of the clock, over all repositories. Every leader knows
// what the one before has used. It is safe for concurrent use.
type allowance struct {
	most int

	mu   sync.Mutex
	hour time.Time
	used int
}

// take gives up to so many.
func (a *allowance) take(now time.Time, want int) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.turn(now)
	got := max(0, min(want, a.most-a.used))
	a.used += got
	return got
}

// left is how many there are, and when there will be others.
func (a *allowance) left(now time.Time) (n int, until time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.turn(now)
	return max(0, a.most-a.used), a.hour.Add(time.Hour)
}

// turn begins another hour when it is time.
func (a *allowance) turn(now time.Time) {
	if hour := now.Truncate(time.Hour); hour.After(a.hour) {
		a.hour, a.used = hour, 0
	}
}

// encode is the hour since 1970 and what was used of it, as varints.
func (a *allowance) encode() []byte {
	a.mu.Lock()
	defer a.mu.Unlock()
	data := binary.AppendUvarint(nil, uint64(max(0, a.hour.Unix()/3600)))
	return binary.AppendUvarint(data, uint64(a.used)) //nolint:gosec // not negative
}

// decode takes what was encoded; what was not is as good as nothing.
func (a *allowance) decode(data []byte) {
	in := varint.NewReader(data)
	hour, used := in.ReadUvarint(math.MaxInt32), in.ReadUvarint(math.MaxInt32)
	if !in.IsComplete() {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.hour, a.used = time.Unix(int64(hour)*3600, 0).UTC(), int(used) //nolint:gosec // 31 bits
}
