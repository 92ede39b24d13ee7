// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

// Package backfill publishes jobs for gaps and reads them. The coverage is what records a gap: a job is only a hint to
// close it. If a queue loses every job, the next sweep finds the gaps and publishes new ones.
package backfill

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
)

const (
	// Version is the version of encoded jobs; see wireJob.
	Version = 1
	// MaxMessageBytes bounds an encoded job in bytes.
	MaxMessageBytes = 16 << 10
	// maxSpan bounds a job's window. It exceeds every retention that the configuration accepts.
	maxSpan = 11_000 * time.Hour
	// maxAttempt bounds the attempt that a message may name.
	maxAttempt = 10_000
)

// Reason is the reason why a window is a gap. Its text is a label of metrics and part of messages.
type Reason string

// The reasons. A job of ReasonOperator is read even where the coverage has no gap.
const (
	ReasonScrapeError Reason = "scrape_error"         // no stream of the repository could be read
	ReasonPartial     Reason = "partial_scrape_error" // some of its streams could not be read
	ReasonRateLimited Reason = "rate_limited"
	ReasonUnhealthy   Reason = "github_unhealthy"
	ReasonInitial     Reason = "initial_lookback"
	ReasonLeaderGap   Reason = "leader_gap" // no replica read for longer than a pass looks back
	ReasonSweep       Reason = "sweep"      // a gap without a recorded reason, or whose job was lost
	ReasonOperator    Reason = "operator"
	// Of a Copilot report of 28 days, which would have had the day.
	ReasonCopilotAPI      Reason = "copilot_api_failed"      // its request failed
	ReasonCopilotDownload Reason = "copilot_download_failed" // its files could not be read
	ReasonCopilotReport   Reason = "copilot_report_unusable" // its files are no report
)

// The sources of jobs that read something else than a repository's streams: a day of a Copilot report of the
// organization, and of the enterprise whose reports are stored in the organization's ledger.
const (
	SourceCopilot           = "copilot"
	SourceCopilotEnterprise = "copilot_enterprise"
)

// Job is the order to read a window of a repository's streams or, with a source, of a report.
type Job struct {
	// ID is the same for every delivery of the job.
	ID string
	// Source is what the job reads: empty for a repository's streams.
	Source string
	// Org and Repo are names, RepoID GitHub's id of the repository; 0 when only the name is known. With a source, Repo
	// is the name with which the report is stored, and Streams, which replicas of other releases expect, mean nothing.
	Org, Repo string
	RepoID    int64
	Streams   activity.Streams
	Window    activity.Window
	Reason    Reason
	// Attempt counts from 1. A delivery that was deferred does not count.
	Attempt int
	// Returns is the number of times in a row that consumers without its organization returned the job. It is no part
	// of the encoded job: the queue carries it beside the message.
	Returns int
	// CreatedAt is the time at which the job was first published.
	CreatedAt time.Time
}

// wireJob is the JSON object that encodes a job in a queue. Brokers keep messages across releases and replicas of two
// releases share a queue: a key keeps its meaning for ever, and a decoder rejects keys that it does not have. A change
// is a new Version.
//
//	version     Version; a decoder accepts its own only
//	id          of the job, the same in every delivery
//	org, repo   login and name at the time of publishing
//	repo_id     GitHub's id of the repository; absent when only the name is available
//	streams     names of activity.Stream, each at most once
//	from, until the window, RFC 3339 in UTC, half open
//	reason      a Reason; a decoder accepts those of later releases
//	attempt     of the next delivery, from 1
//	created_at  time of the first publishing, RFC 3339 in UTC
//
// With a source, org is ORG:SOURCE. A replica that does not know the source has no organization of this name, so that
// it returns the job to its queue, as it does with those of other deployments, until another replica gets it. So do
// those of releases without sources, which is why streams is never empty.
type wireJob struct {
	Version   int       `json:"version"`
	ID        string    `json:"id"`
	Org       string    `json:"org"`
	Repo      string    `json:"repo"`
	RepoID    int64     `json:"repo_id,omitempty"`
	Streams   []string  `json:"streams"`
	From      time.Time `json:"from"`
	Until     time.Time `json:"until"`
	Reason    Reason    `json:"reason"`
	Attempt   int       `json:"attempt"`
	CreatedAt time.Time `json:"created_at"`
}

// Encode returns the job as a message; see wireJob.
func (j *Job) Encode() []byte {
	m := wireJob{
		Version: Version, ID: j.ID, Org: j.Owner(), Repo: j.Repo, RepoID: j.RepoID,
		From: j.Window.Start.UTC(), Until: j.Window.End.UTC(), Reason: j.Reason, Attempt: j.Attempt,
		CreatedAt: j.CreatedAt.UTC(),
	}
	for _, s := range activity.AllStreams() {
		if j.Streams.Has(s) {
			m.Streams = append(m.Streams, s.String())
		}
	}
	body, err := json.Marshal(m)
	if err != nil {
		panic(fmt.Sprintf("backfill: a job cannot be encoded: %v", err)) // a year beyond 9999
	}
	return body
}

// Owner returns the organization, with the source behind a colon where there is one: it identifies the reader.
func (j *Job) Owner() string {
	if j.Source == "" {
		return j.Org
	}
	return j.Org + ":" + j.Source
}

// ErrInvalid is the error of a message that does not encode a job.
var ErrInvalid = errors.New("invalid backfill job")

func invalidJob(format string, args ...any) error {
	return fmt.Errorf("%w: %w", ErrInvalid, fmt.Errorf(format, args...))
}

// Decode reads a message that Encode wrote. Its errors wrap ErrInvalid and are permanent.
func Decode(body []byte) (Job, error) {
	if len(body) > MaxMessageBytes {
		return Job{}, invalidJob("%d bytes, want at most %d", len(body), MaxMessageBytes)
	}
	var m wireJob
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&m); err != nil {
		return Job{}, invalidJob("not the JSON of a job: %w", err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return Job{}, invalidJob("something follows the JSON of a job")
	}
	if m.Version != Version {
		return Job{}, invalidJob("version %d, want %d", m.Version, Version)
	}
	org, source, _ := strings.Cut(m.Org, ":")
	j := Job{
		ID: m.ID, Source: source, Org: org, Repo: m.Repo, RepoID: m.RepoID,
		Window: activity.Window{Start: m.From, End: m.Until},
		Reason: m.Reason, Attempt: m.Attempt, CreatedAt: m.CreatedAt,
	}
	var err error
	if j.Streams, err = ParseStreams(m.Streams); err != nil {
		return Job{}, invalidJob("streams: %w", err)
	}
	return j, j.Validate()
}

// ParseStreams returns the set of the named streams. It rejects a name that is unknown or stands twice.
func ParseStreams(names []string) (activity.Streams, error) {
	var set activity.Streams
	for _, name := range names {
		before := set
		for _, s := range activity.AllStreams() {
			if name == s.String() {
				set = set.With(s)
			}
		}
		if set == before {
			return 0, fmt.Errorf("%.40q, want each of %s at most once", name, streamNames())
		}
	}
	return set, nil
}

var (
	identifierPattern = regexp.MustCompile(`^[A-Za-z0-9_.:-]{1,100}$`)
	loginPattern      = regexp.MustCompile(`^[A-Za-z0-9_.-]+$`)
	reasonPattern     = regexp.MustCompile(`^[a-z0-9_]{1,64}$`)
)

// Validate checks that a dispatcher or an operator could have made the job. Its errors wrap ErrInvalid and name the
// field of wireJob.
func (j *Job) Validate() error {
	switch span := j.Window.End.Sub(j.Window.Start); {
	case !identifierPattern.MatchString(j.ID):
		return invalidJob("id: %.100q, want 1 to 100 letters, digits and _.:-", j.ID)
	case !identifierPattern.MatchString(j.Owner()) || !loginPattern.MatchString(j.Org):
		return invalidJob("org: %.100q, want the login of an organization", j.Owner())
	case !identifierPattern.MatchString(j.Repo):
		return invalidJob("repo: %.100q, want the name of a repository without its owner", j.Repo)
	case j.RepoID < 0:
		return invalidJob("repo_id: %d, want GitHub's id, or none", j.RepoID)
	case j.Streams == 0:
		return invalidJob("streams: none, want at least one of %s", streamNames())
	case !reasonPattern.MatchString(string(j.Reason)):
		return invalidJob("reason: %.64q, want small letters, digits and _", string(j.Reason))
	case j.Attempt < 1 || j.Attempt > maxAttempt:
		return invalidJob("attempt: %d, want 1 to %d", j.Attempt, maxAttempt)
	case !isPlausibleTime(j.Window.Start) || !isPlausibleTime(j.Window.End) || !isPlausibleTime(j.CreatedAt):
		return invalidJob("from, until, created_at: want times between the years 2000 and 9999")
	case span <= 0 || span > maxSpan:
		return invalidJob("from, until: a window of %s, want more than nothing and at most %s", span, maxSpan)
	default:
		return nil
	}
}

func isPlausibleTime(t time.Time) bool { return t.Year() >= 2000 && t.Year() <= 9999 }

// streamNames returns the names of all streams.
func streamNames() string {
	return strings.ReplaceAll(activity.EveryStream.String(), "+", ", ")
}
