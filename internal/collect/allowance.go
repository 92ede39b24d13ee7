package collect

import (
	"encoding/binary"
	"math"
	"sync"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
)

// sampleAllowance names the sample that has what was used of the present hour.
var sampleAllowance = ledger.SampleKey{Name: "lines_allowance"}

// allowance is how many commits may be asked for their lines in an hour of the clock, over all repositories. Every leader knows
// what the one before has used. It is safe for concurrent use.
type allowance struct {
	most int

	mu   sync.Mutex
	hour time.Time
	used int
}

// take gives up to so many, and the end of the hour.
func (a *allowance) take(now time.Time, want int) (got int, until time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if hour := now.Truncate(time.Hour); hour.After(a.hour) {
		a.hour, a.used = hour, 0
	}
	got = max(0, min(want, a.most-a.used))
	a.used += got
	return got, a.hour.Add(time.Hour)
}

// giveBack returns what was not used of the hour that ends then.
func (a *allowance) giveBack(until time.Time, n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if until.Equal(a.hour.Add(time.Hour)) {
		a.used = max(0, a.used-n)
	}
}

// encode is the hour since 1970 and what was used of it, as varints.
func (a *allowance) encode() []byte {
	a.mu.Lock()
	defer a.mu.Unlock()
	data := binary.AppendUvarint(nil, uint64(max(0, a.hour.Unix()/3600))) //nolint:gosec // not negative
	return binary.AppendUvarint(data, uint64(a.used))                     //nolint:gosec // not negative
}

// decode takes what was encoded; what was not is as good as nothing.
func (a *allowance) decode(data []byte) {
	hour, n := binary.Uvarint(data)
	if n <= 0 {
		return
	}
	used, m := binary.Uvarint(data[n:])
	if m != len(data)-n || hour > math.MaxInt32 || used > math.MaxInt32 {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.hour, a.used = time.Unix(int64(hour)*3600, 0).UTC(), int(used) //nolint:gosec // 31 bits
}
