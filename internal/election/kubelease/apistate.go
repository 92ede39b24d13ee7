// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package kubelease

import (
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/seed-358c4d9d/githubexporter/internal/notify"
)

// apiState reports whether the API server responds, on changes of the state or of its reason only.
type apiState struct {
	onChange func(error)

	mu         sync.Mutex
	isReported bool
	lastError  string // "" while it responds
	changes    notify.Queue[error]
}

// observe takes the result of a request. A conflict is a response, too: another replica was faster.
func (h *apiState) observe(err error) {
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) {
		err = nil
	}
	h.record(err)
	h.changes.Deliver(h.onChange)
}

// record adds a state that differs from the last one to the changes.
func (h *apiState) record(err error) {
	reason := ""
	if err != nil {
		reason = err.Error()
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.isReported && h.lastError == reason {
		return
	}
	h.isReported, h.lastError = true, reason
	h.changes.Add(err)
}
