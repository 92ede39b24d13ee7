// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package kubelease

import (
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/seed-358c4d9d/githubexporter/internal/notify"
)

// apiState reports whether the API server responds, to onChange, on changes of the state or of its reason only. It is
// safe for concurrent use.
type apiState struct {
	onChange func(error)

	mu         sync.Mutex
	isReported bool
	lastError  string // "" while it responds
	changes    notify.Queue[error]
}

// observe records the result of a request and calls onChange if it is a change. A conflict is a response, too: another
// replica was faster.
func (s *apiState) observe(err error) {
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) {
		err = nil
	}
	s.record(err)
	s.changes.Deliver(s.onChange)
}

// record adds a state that differs from the last one to the changes.
func (s *apiState) record(err error) {
	reason := ""
	if err != nil {
		reason = err.Error()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.isReported && s.lastError == reason {
		return
	}
	s.isReported, s.lastError = true, reason
	s.changes.Add(err)
}
