// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package github

import (
	"errors"
	"fmt"

	"github.com/seed-358c4d9d/githubexporter/internal/github/transport"
)

// IncompleteError says that a listing was read to its end, and that some repositories in it are missing.
type IncompleteError struct {
	// Missing is their number, at least; Forbidden the number of those that the credential may not see.
	Missing, Forbidden int
	// Err is why one of them is missing: a *transport.ForbiddenError only if all of them are forbidden.
	Err error
}

func (e *IncompleteError) Error() string {
	if e.Forbidden == e.Missing {
		return fmt.Sprintf("at least %d repositories of the listing are forbidden to the credential: %v", e.Missing,
			e.Err)
	}
	return fmt.Sprintf("%d repositories of the listing could not be read, %d of them forbidden: %v",
		e.Missing, e.Forbidden, e.Err)
}

// add counts a missing repository.
func (e *IncompleteError) add(err error) {
	e.Missing++
	forbidden := errors.As(err, new(*transport.ForbiddenError))
	if forbidden {
		e.Forbidden++
	}
	if e.Err == nil || !forbidden {
		e.Err = err
	}
}

func (e *IncompleteError) Unwrap() error { return e.Err }
