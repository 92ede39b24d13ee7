// Package backfill turns windows that were missed into jobs and has them read. What is missing is known to the coverage:
// a job is only a hint to close a gap. If a queue loses every job, the next sweep finds the gaps and makes new ones.
package backfill

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
)

const (
	// Version is of the jobs that this build writes and reads.
	Version = 1
	// MaxMessageBytes bounds an encoded job in bytes.
	MaxMessageBytes = 16 << 10
	// maxSpan bounds a job's window: nothing is kept that long.
	maxSpan = 11_000 * time.Hour
	// maxAttempt bounds what a message may claim.
	maxAttempt = 10_000
)

// Reason says why a window was missed.
type Reason string

// The reasons. An operator's job is read whatever the coverage says.
const (
	ReasonScrapeError  Reason = "scrape_error"         // nothing of the repository could be read
	ReasonPartial      Reason = "partial_scrape_error" // some of its streams could not
	ReasonRateLimited  Reason = "rate_limited"
	ReasonUnhealthy    Reason = "github_unhealthy"
	ReasonInitial      Reason = "initial_lookback"
	ReasonLeaderGap    Reason = "leader_gap" // nobody read for longer than a pass looks back
	ReasonSweep        Reason = "sweep"      // a gap of which nothing more is known, or whose job was lost
	ReasonOperator     Reason = "operator"
	ReasonCopilot1Day  Reason = "copilot_report_1d"
	ReasonCopilot28Day Reason = "copilot_report_28d"
)

// Job asks for a window of a repository's streams.
type Job struct {
	// ID is the same for every delivery of the job.
	ID string
	// Org and Repo are names, RepoID GitHub's id of the repository; 0 when only the name is known.
	Org, Repo string
	RepoID    int64
	Streams   activity.Streams
	Window    activity.Window
	Reason    Reason
	// Attempt counts from 1. A delivery that was only put off does not count.
	Attempt int
	// Returns is how often the job was given back in a row by consumers that do not know its organization. The queue
	// keeps it beside the message.
	Returns int
	// CreatedAt is when the job was published first.
	CreatedAt time.Time
}

// wireJob is a job as it stands in a queue.
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

// Encode is the job as a message.
func (j *Job) Encode() []byte {
	m := wireJob{
		Version: Version, ID: j.ID, Org: j.Org, Repo: j.Repo, RepoID: j.RepoID,
		From: j.Window.Start.UTC(), Until: j.Window.End.UTC(), Reason: j.Reason, Attempt: j.Attempt, CreatedAt: j.CreatedAt.UTC(),
	}
	for _, s := range activity.AllStreams() {
		if j.Streams.Has(s) {
			m.Streams = append(m.Streams, s.String())
		}
	}
	body, err := json.Marshal(m)
	if err != nil {
		panic(fmt.Sprintf("backfill: a job cannot be encoded: %v", err)) // years beyond 9999: no clock gets there
	}
	return body
}

// ErrInvalid is the error of a message that is no job.
var ErrInvalid = errors.New("no job")

func invalidJob(format string, args ...any) error {
	return fmt.Errorf("%w: %w", ErrInvalid, fmt.Errorf(format, args...))
}

// Decode reads a message. Its errors wrap ErrInvalid: the same message will never be a job.
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
	j := Job{
		ID: m.ID, Org: m.Org, Repo: m.Repo, RepoID: m.RepoID, Window: activity.Window{Start: m.From, End: m.Until},
		Reason: m.Reason, Attempt: m.Attempt, CreatedAt: m.CreatedAt,
	}
	var err error
	if j.Streams, err = ParseStreams(m.Streams); err != nil {
		return Job{}, invalidJob("streams: %w", err)
	}
	return j, j.Validate()
}

// ParseStreams reads names of streams.
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
			return 0, fmt.Errorf("%.40q, want each of commits, pulls, comments at most once", name)
		}
	}
	return set, nil
}

var (
	identifierPattern = regexp.MustCompile(`^[A-Za-z0-9_.:-]{1,100}$`)
	reasonPattern     = regexp.MustCompile(`^[a-z0-9_]{1,64}$`)
)

// Validate refuses what no dispatcher makes. Its errors wrap ErrInvalid.
func (j *Job) Validate() error {
	switch span := j.Window.End.Sub(j.Window.Start); {
	case !identifierPattern.MatchString(j.ID):
		return invalidJob("id: %.100q, want 1 to 100 letters, digits and _.:-", j.ID)
	case !identifierPattern.MatchString(j.Org):
		return invalidJob("org: %.100q, want the login of an organization", j.Org)
	case !identifierPattern.MatchString(j.Repo):
		return invalidJob("repo: %.100q, want the name of a repository without its owner", j.Repo)
	case j.RepoID < 0:
		return invalidJob("repo_id: %d, want GitHub's id, or none", j.RepoID)
	case j.Streams == 0:
		return invalidJob("streams: none, want at least one of commits, pulls, comments")
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
