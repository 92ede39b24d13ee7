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

// What tells whether a stream has changed is committed together with the events that were read then, so it never promises what
// the ledger does not have. There is one for a repository and stream, which bounds them.
func validatorKey(repo int64, s activity.Stream) ledger.EntryKey {
	return ledger.EntryKey{Name: ledger.EntryValidator, Repo: repo, Sub: s.String()}
}

// loadValidators adds what is known to the requests, but for the streams that lag: what is missing of those is older than it. It asks
// the store itself, which may have lost what this replica has seen.
func (c *Collector) loadValidators(ctx context.Context, some []reading) error {
	var keys []ledger.EntryKey
	for i := range some {
		for _, s := range activity.AllStreams() {
			if some[i].isConditional(s) {
				keys = append(keys, validatorKey(some[i].request.Repo.ID, s))
			}
		}
	}
	if len(keys) == 0 {
		return nil
	}
	samples, err := c.settings.Store.ReadEntries(ctx, c.settings.Org, keys)
	if err != nil {
		return &StoreError{err}
	}
	for i := range some {
		for _, s := range activity.AllStreams() {
			if some[i].isConditional(s) {
				some[i].request.Validators[s] = decodeValidator(samples[validatorKey(some[i].request.Repo.ID, s)].Data)
			}
		}
	}
	return nil
}

// isConditional reports whether a stream is read on the condition that it has changed: nothing else tells whether it has.
func (r *reading) isConditional(s activity.Stream) bool {
	return github.ConditionalStreams.Has(s) && r.request.Streams.Has(s) && !r.request.Repo.Signals.Streams.Has(s) && !r.lagging.Has(s)
}

// validatorEntries are the validators that differ from the ones that were known.
func validatorEntries(todo *reading, outcome *github.ReadResult) []ledger.Entry {
	var samples []ledger.Entry
	for _, s := range activity.AllStreams() {
		had, has := todo.request.Validators[s], outcome.Validators[s]
		if outcome.Failed[s] != nil || (has.ETag == had.ETag && has.Since.Equal(had.Since)) {
			continue
		}
		var data []byte
		if has.ETag != "" {
			data = encodeValidator(has)
		}
		samples = append(samples, ledger.Entry{EntryKey: validatorKey(todo.request.Repo.ID, s), Data: data, Observed: todo.observed})
	}
	return samples
}

// encodeValidator writes "since etag", since in Unix seconds, 0 for none.
func encodeValidator(v github.Validator) []byte {
	since := int64(0)
	if !v.Since.IsZero() {
		since = v.Since.Unix()
	}
	return []byte(strconv.FormatInt(since, 10) + " " + v.ETag)
}

// decodeValidator gives nothing for what encodeValidator did not write: then everything is asked for.
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
