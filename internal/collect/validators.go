package collect

import (
	"strconv"
	"strings"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/github"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
)

// What tells whether a stream has changed is committed together with the events that were read then, so it never promises what
// the ledger does not have. There is one for a repository and stream, which bounds them.
const sampleValidator = "validator"

func validatorKey(repo int64, s activity.Stream) ledger.SampleKey {
	return ledger.SampleKey{Name: sampleValidator, Labels: [2]string{strconv.FormatInt(repo, 10), s.String()}}
}

// addValidators adds what is known to the request, but for the streams that lag: what is missing of those is older than it.
func (c *Collector) addValidators(todo *reading) {
	for _, s := range activity.AllStreams() {
		if !github.Conditional.Has(s) || !todo.request.Streams.Has(s) || todo.lags.Has(s) {
			continue
		}
		if sample, ok := c.settings.Samples.Sample(validatorKey(todo.request.Repo.ID, s)); ok {
			todo.request.Validators[s] = decodeValidator(sample.Data)
		}
	}
}

// validatorSamples are the validators that differ from the ones that were known.
func validatorSamples(todo *reading, outcome *github.Outcome) []ledger.Sample {
	var samples []ledger.Sample
	for _, s := range activity.AllStreams() {
		had, has := todo.request.Validators[s], outcome.Validators[s]
		if outcome.Failed[s] != nil || (has.ETag == had.ETag && has.Since.Equal(had.Since)) {
			continue
		}
		var data []byte
		if has.ETag != "" {
			data = encodeValidator(has)
		}
		samples = append(samples, ledger.Sample{SampleKey: validatorKey(todo.request.Repo.ID, s), Data: data, Observed: todo.observed})
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
	case !ok || err != nil || !activity.Printable(etag):
		return github.Validator{}
	case since == 0:
		return github.Validator{ETag: etag}
	default:
		return github.Validator{ETag: etag, Since: time.Unix(since, 0).UTC()}
	}
}
