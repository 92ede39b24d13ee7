package kubelease

import (
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// apiState reports whether the API server responds, on changes of the state or of its reason only.
type apiState struct {
	onChange func(error)

	mu         sync.Mutex
	isReported bool
	lastError  string // "" while it answers
}

// observe takes the result of a request. A conflict is a response, too: another replica was faster.
func (h *apiState) observe(err error) {
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) {
		err = nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	why := ""
	if err != nil {
		why = err.Error()
	}
	if h.isReported && h.lastError == why {
		return
	}
	h.isReported, h.lastError = true, why
	h.onChange(err)
}
