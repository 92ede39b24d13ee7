// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package election

import (
	"math/rand/v2"
	"time"
)

// fenceBits are the lower bits of a fence, which count terms; the upper ones are Unix seconds.
const fenceBits = 20

// FenceAt returns the lowest fence of a term that starts at a time of the Leaser's clock, or whose lease was created
// then. All Leasers derive their fences from it: fences keep growing when a Leaser was reset, or replaced by one of
// another kind. They stay below 2⁵³, which Lua represents exactly.
func FenceAt(t time.Time) uint64 {
	return uint64(max(0, t.Unix())) << fenceBits
}

// offsetBits are the lower bits of a fence that separate terms that start in the same second without a lease.
const offsetBits = 16

// NewFence returns a random fence of a term that starts at a time without a lease: different replicas get different
// ones.
func NewFence(t time.Time) uint64 {
	return FenceAt(t) + 1 + rand.Uint64N(1<<offsetBits-1) //nolint:gosec // no secret
}
