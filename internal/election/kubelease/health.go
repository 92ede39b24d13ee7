package kubelease

import (
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// health reports whether the API server answers, on changes only: of the state or of the reason.
type health struct {
	report func(error)

	mu    sync.Mutex
	known bool
	why   string // "" while it answers
}

// observe learns from the outcome of a request. Conflicts are answers, too: another replica was faster.
func (h *health) observe(err error) {
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) {
		err = nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	why := ""
	if err != nil {
		why = err.Error()
	}
	if h.known && h.why == why {
		return
	}
	h.known, h.why = true, why
	h.report(err)
}
