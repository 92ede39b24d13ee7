package activity

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"time"
)

// Kind says what happened. It is a closed enumeration; its values are stored, so they never change their meaning.
type Kind uint8

// The kinds of events, in the order of their stored values.
const (
	KindCommit Kind = iota + 1
	KindPullRequestOpened
	KindPullRequestMerged
	KindReviewSubmitted
	KindIssueComment
)

// NumKinds is the number of kinds. Arrays over kinds are indexed by Kind.Index.
const NumKinds = 5

// Kinds lists every kind in the order of Index.
func Kinds() [NumKinds]Kind {
	return [NumKinds]Kind{KindCommit, KindPullRequestOpened, KindPullRequestMerged, KindReviewSubmitted, KindIssueComment}
}

// Index is the kind's place in arrays over kinds, 0 to NumKinds-1. Only valid kinds have one.
func (k Kind) Index() int { return int(k) - 1 }

// IsValid reports whether k is one of the kinds.
func (k Kind) IsValid() bool { return k >= KindCommit && k <= KindIssueComment }

// String is the kind's name in logs.
func (k Kind) String() string {
	switch k {
	case KindCommit:
		return "commit"
	case KindPullRequestOpened:
		return "pull_request_opened"
	case KindPullRequestMerged:
		return "pull_request_merged"
	case KindReviewSubmitted:
		return "review_submitted"
	case KindIssueComment:
		return "issue_comment"
	default:
		return fmt.Sprintf("kind(%d)", uint8(k))
	}
}

// ID tells an event from the others of its kind in its repository: a commit by its object name, everything else by the
// number that GitHub gave it.
type ID [20]byte

// NumberID is the ID of something that GitHub numbers: a pull request's number, a review's or a comment's database id.
func NumberID(n int64) ID {
	var id ID
	binary.BigEndian.PutUint64(id[12:], uint64(n)) //nolint:gosec // the bit pattern is the identity
	return id
}

// CommitID is the ID of a commit. sha is the object name in hexadecimal, 40 digits for SHA-1; of a longer name
// (SHA-256 repositories) the first 160 bits count.
func CommitID(sha string) (ID, error) {
	var id ID
	if len(sha) < 2*len(id) {
		return id, fmt.Errorf("object name %.64q: want at least %d hexadecimal digits", sha, 2*len(id))
	}
	if _, err := hex.Decode(id[:], []byte(sha[:2*len(id)])); err != nil {
		return id, fmt.Errorf("object name %.64q: %w", sha, err)
	}
	return id, nil
}

// Key is an event's identity: recording two events with one key records one.
type Key struct {
	// Repo is GitHub's id of the repository, which outlives renames and transfers.
	Repo int64
	ID   ID
	Kind Kind
}

// Event is one thing that happened on GitHub.
type Event struct {
	Kind Kind
	// Repo is GitHub's id of the repository.
	Repo int64
	ID   ID
	// Actor is who did it: the commit's author, the pull request's author for both opened and merged, the reviewer,
	// the commenter.
	Actor Actor
	// Time is the committer date, the creation, the merge or the submission, in UTC and whole seconds as GitHub has it.
	Time time.Time
	// Additions and Deletions are a commit's lines. They are zero for a merge commit, whose lines belong to the
	// commits that it brings, and for every other kind.
	Additions, Deletions uint32
}

// Key is the event's identity.
func (e *Event) Key() Key { return Key{Repo: e.Repo, Kind: e.Kind, ID: e.ID} }

// Errors of Validate.
var (
	ErrKind  = errors.New("unknown kind of event")
	ErrRepo  = errors.New("repository id is not positive")
	ErrTime  = errors.New("time outside 1970 to 2106")
	ErrLines = errors.New("lines on an event that is no commit")
)

// Validate refuses what no honest reading produces, so that a damaged message or a hostile answer stops at the door of
// the ledger.
func (e *Event) Validate() error {
	switch {
	case !e.Kind.IsValid():
		return fmt.Errorf("%w: %d", ErrKind, e.Kind)
	case e.Repo <= 0:
		return fmt.Errorf("%w: %d", ErrRepo, e.Repo)
	case !validTime(e.Time):
		return fmt.Errorf("%w: %s", ErrTime, e.Time.UTC().Format(time.RFC3339))
	case e.Kind != KindCommit && (e.Additions != 0 || e.Deletions != 0):
		return fmt.Errorf("%w: %s", ErrLines, e.Kind)
	}
	return e.Actor.Validate()
}

// validTime reports whether t fits 32 unsigned bits of Unix seconds, in which the views keep it.
func validTime(t time.Time) bool {
	s := t.Unix()
	return s >= 0 && s <= 1<<32-1
}
