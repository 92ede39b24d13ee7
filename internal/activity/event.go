// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package activity

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"time"
)

// ID identifies an event among those of its kind in its repository: the object name of a commit, GitHub's number of
// anything else.
type ID [20]byte

// NumberID returns the ID of an event that GitHub numbers: a pull request's number, the database id of a review or a
// comment.
func NumberID(n int64) ID {
	var id ID
	binary.BigEndian.PutUint64(id[12:], uint64(n)) //nolint:gosec // the bit pattern is the identity
	return id
}

// OccurrenceID returns the ID of an event that may happen to a numbered item several times, such as the closing of an
// issue. GitHub's APIs have no id of it in common: it is identified by the item and by its time, in whole seconds.
func OccurrenceID(n int64, at time.Time) ID {
	id := NumberID(n)
	binary.BigEndian.PutUint64(id[4:12], uint64(at.Unix())) //nolint:gosec // the bit pattern is the identity
	return id
}

// CommitID returns the ID of a commit. sha is the object name in hexadecimal, 40 digits for SHA-1; of a longer name
// (SHA-256 repositories) the ID has the first 160 bits.
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

// Key identifies an event. Of several events with one key a ledger records one.
type Key struct {
	// Repo is GitHub's id of the repository, which outlives renames and transfers.
	Repo int64
	ID   ID
	Kind Kind
}

// Event is something that happened at one time in one repository and is counted once.
type Event struct {
	Kind Kind
	// Repo is GitHub's id of the repository.
	Repo int64
	ID   ID
	// Actor is the commit's author, the pull request's author for both opened and merged, the reviewer, the
	// commenter, the author of an issue or a release, or NoActor for a kind that is attributed to the repository.
	Actor Actor
	// Time is the committer date, the creation, the merge, the submission, the closing or the publication, in UTC and
	// whole seconds as GitHub has it.
	Time time.Time
	// Measures are the event's measures, in the order of its kind. Those of a merge commit are zero, because its lines
	// belong to the commits that it merges.
	Measures Measures
}

// Key returns the event's identity.
func (e *Event) Key() Key { return Key{Repo: e.Repo, Kind: e.Kind, ID: e.ID} }

// Errors of Validate.
var (
	ErrKind     = errors.New("unknown kind of event")
	ErrRepo     = errors.New("repository id is not positive")
	ErrTime     = errors.New("time outside 1970 to 2106")
	ErrMeasures = errors.New("measures that the kind does not have")
	ErrActor    = errors.New("an actor where the kind has none, or none where it has one")
)

// Validate returns an error for an event that no reading of GitHub produces, so that a damaged message or a hostile
// response is refused before the ledger records it.
func (e *Event) Validate() error {
	switch {
	case !e.Kind.IsValid():
		return fmt.Errorf("%w: %d", ErrKind, e.Kind)
	case e.Repo <= 0:
		return fmt.Errorf("%w: %d", ErrRepo, e.Repo)
	case !isValidTime(e.Time):
		return fmt.Errorf("%w: %s", ErrTime, e.Time.UTC().Format(time.RFC3339))
	case e.Measures.count() > e.Kind.NumMeasures():
		return fmt.Errorf("%w: %s", ErrMeasures, e.Kind)
	case e.Kind.IsOfRepository() != (e.Actor == NoActor()):
		return fmt.Errorf("%w: %s", ErrActor, e.Kind)
	}
	return e.Actor.Validate()
}

// isValidTime reports whether t fits 32 unsigned bits of Unix seconds, as which events are stored.
func isValidTime(t time.Time) bool {
	s := t.Unix()
	return s >= 0 && s <= 1<<32-1
}
