package election

import "time"

// fenceBits are the lower bits of a fence, which count terms; the upper ones are Unix seconds.
const fenceBits = 20

// FenceAt is the lowest fence that a term may have that begins at a time by the leaser's clock, or whose lease was created
// then. Fences of all leasers are made this way: they grow on when a leaser lost its memory, or was replaced by one of
// another kind. They stay below 2⁵³, so that they are exact in Lua.
func FenceAt(t time.Time) uint64 {
	return uint64(max(0, t.Unix())) << fenceBits
}
