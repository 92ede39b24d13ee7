package kubelease

import (
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// health reports whether the API server answers, on changes only.
type health struct {
	report func(error)

	mu    sync.Mutex
	known bool
	ill   bool
}

// observe learns from the outcome of a request. Conflicts are answers, too: another replica was faster.
func (h *health) observe(err error) {
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) {
		err = nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.known && h.ill == (err != nil) {
		return
	}
	h.known, h.ill = true, err != nil
	h.report(err)
}
