// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package ledger_test

import (
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger/ledgerview"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger/local"
)

func init() {
	ledger.ApplyDecoded = func(c ledger.Change) {
		local.NewState().Apply(&c)
		view := ledgerview.New(ledgerview.Settings{Retention: time.Hour})
		view.Apply(c)
		view.Visit(time.Date(2026, 3, 11, 12, 0, 0, 0, time.UTC), discard{})
	}
}

// discard is a sink that ignores what it gets.
type discard struct{}

func (discard) Emit(ledgerview.Series, *ledgerview.Values)   {}
func (discard) MarkStale(ledgerview.Series, ledgerview.Mask) {}
