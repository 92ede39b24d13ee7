// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"fmt"
	"testing"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
)

// BenchmarkCodec encodes and decodes a change of 1,000 events.
func BenchmarkCodec(b *testing.B) {
	var c Change
	for i := range int64(1000) {
		c.Events = append(c.Events, activity.Event{
			Kind: activity.KindCommit, Repo: 1, ID: activity.NumberID(i), Time: noon, Measures: activity.Lines(10, 1),
			Actor: activity.Actor{Login: fmt.Sprintf("user-%d", i%50)},
		})
	}
	frame, err := EncodeChange(c)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("encode", func(b *testing.B) {
		for b.Loop() {
			if _, err := EncodeChange(c); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(len(frame))/1000, "bytes/event")
	})
	b.Run("decode", func(b *testing.B) {
		for b.Loop() {
			if _, err := DecodeChange(frame); err != nil {
				b.Fatal(err)
			}
		}
	})
}
