// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package collect

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/github"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
)

// validatorKey returns the key of the entry that stores the validator of a stream for conditional requests. It is
// committed together with the events of the same reading, so that "304 Not Modified" never hides an event that the
// ledger lacks.
func validatorKey(repo int64, s activity.Stream) ledger.EntryKey {
	return ledger.EntryKey{Name: ledger.EntryValidator, Repo: repo, Sub: s.String()}
}

// loadValidators adds the stored validators to the readings, except for lagging streams, whose gap is older than the
// validator. They are read from the store and not from this replica's view, because the store may have been reset
// since.
func (c *Collector) loadValidators(ctx context.Context, readings []reading) error {
	var keys []ledger.EntryKey
	for i := range readings {
		for _, s := range activity.AllStreams() {
			if readings[i].isConditional(s) {
				keys = append(keys, validatorKey(readings[i].request.Repo.ID, s))
			}
		}
	}
	if len(keys) == 0 {
		return nil
	}
	entries, err := c.settings.Store.ReadEntries(ctx, c.settings.Org, keys)
	if err != nil {
		return &StoreError{err}
	}
	for i := range readings {
		for _, s := range activity.AllStreams() {
			if readings[i].isConditional(s) {
				readings[i].request.Validators[s] = decodeValidator(
					entries[validatorKey(readings[i].request.Repo.ID, s)].Data,
				)
			}
		}
	}
	return nil
}

// isConditional reports whether a stream is requested with a validator: it has no signal that shows whether it changed.
func (r *reading) isConditional(s activity.Stream) bool {
	return github.ConditionalStreams.Has(s) && r.request.Streams.Has(s) && !r.request.Repo.Signals.Streams.Has(s) &&
		!r.lagging.Has(
			s,
		)
}

// validatorEntries returns the entries of the validators that a reading has changed.
func validatorEntries(todo *reading, result *github.ReadResult) []ledger.Entry {
	var entries []ledger.Entry
	for _, s := range activity.AllStreams() {
		had, has := todo.request.Validators[s], result.Validators[s]
		if result.Failed[s] != nil || (has.ETag == had.ETag && has.Since.Equal(had.Since)) {
			continue
		}
		var data []byte
		if has.ETag != "" {
			data = encodeValidator(has)
		}
		entries = append(entries, ledger.Entry{
			EntryKey: validatorKey(todo.request.Repo.ID, s), Data: data, Observed: todo.observed,
		})
	}
	return entries
}

// encodeValidator writes "since etag", since in Unix seconds, 0 for none.
func encodeValidator(v github.Validator) []byte {
	since := int64(0)
	if !v.Since.IsZero() {
		since = v.Since.Unix()
	}
	return []byte(strconv.FormatInt(since, 10) + " " + v.ETag)
}

// decodeValidator reads what encodeValidator wrote. For other data it returns none, so that everything is requested.
func decodeValidator(data []byte) github.Validator {
	number, etag, ok := strings.Cut(string(data), " ")
	since, err := strconv.ParseInt(number, 10, 64)
	switch {
	case !ok || err != nil || !activity.IsPrintable(etag):
		return github.Validator{}
	case since == 0:
		return github.Validator{ETag: etag}
	default:
		return github.Validator{ETag: etag, Since: time.Unix(since, 0).UTC()}
	}
}
