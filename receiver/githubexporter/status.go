package githubexporter

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componentstatus"
	"go.uber.org/zap"

	"github.com/seed-358c4d9d/githubexporter/internal/collect"
	"github.com/seed-358c4d9d/githubexporter/internal/github"
)

// status reports the receiver's component status: recoverable while any organization is in trouble. It reports on
// changes only, for each report starts the recovery clock of the health check anew.
type status struct {
	host   component.Host
	logger *zap.Logger

	mu       sync.Mutex
	troubles map[string]error
	reported bool // that there is trouble
}

func newStatus(host component.Host, logger *zap.Logger) *status {
	return &status{host: host, logger: logger, troubles: make(map[string]error)}
}

// set is called when an organization's condition has changed; nil is good.
func (s *status) set(org string, trouble error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if trouble != nil {
		s.troubles[org] = fmt.Errorf("organization %s: %w", org, trouble)
	} else {
		delete(s.troubles, org)
	}
	if len(s.troubles) > 0 {
		s.reported = true
		componentstatus.ReportStatus(s.host, componentstatus.NewRecoverableErrorEvent(s.err()))
	} else if s.reported {
		s.reported = false
		componentstatus.ReportStatus(s.host, componentstatus.NewEvent(componentstatus.StatusOK))
	}
}

func (s *status) err() error {
	var errs []error
	for _, org := range slices.Sorted(maps.Keys(s.troubles)) {
		errs = append(errs, s.troubles[org])
	}
	return errors.Join(errs...)
}

// condition is how an organization is doing. It is logged once per change, not once per pass.
type condition struct {
	org    string
	status *status
	logger *zap.Logger
	class  string
}

// passed takes the outcome of a pass.
func (c *condition) passed(sum *collect.Summary, err error) {
	fields := []zap.Field{
		zap.String("result", string(sum.Result)), zap.Int("repositories", sum.Repositories), zap.Int("changed", sum.Changed),
		zap.Int("events", sum.Events), zap.Duration("took", sum.Duration), failuresField(sum.Failures),
	}
	trouble := err
	if trouble == nil && len(sum.Failures) > 0 {
		first := sum.Failures[0]
		trouble = fmt.Errorf("%s of %s and %d more: %w", first.Stream, first.Repo, len(sum.Failures)-1, first.Err)
	}
	was := c.class
	c.class = classify(sum, trouble)
	switch {
	case c.class == was:
		c.logger.Info("Pass ended.", append(fields, zap.Error(trouble))...)
		return
	case trouble == nil && was == "":
	case trouble == nil:
		c.logger.Info("The organization can be read completely again.", fields...)
	default:
		c.logger.Warn("The organization cannot be read completely; what is known of it stays as it was.",
			append(fields, zap.String("trouble", c.class), zap.Error(trouble))...)
	}
	c.status.set(c.org, trouble)
}

// classify names the kind of trouble: two passes of one class are one condition. "ok" is none, "" is not known yet.
func classify(sum *collect.Summary, trouble error) string {
	var (
		limit       *github.LimitError
		credential  *github.CredentialError
		forbidden   *github.ForbiddenError
		missing     *github.NotFoundError
		unavailable *github.UnavailableError
	)
	switch {
	case trouble == nil:
		return "ok"
	case errors.As(trouble, &limit):
		return "limited"
	case errors.As(trouble, &credential):
		return "credential refused"
	case errors.As(trouble, &forbidden):
		return string(sum.Result) + ": forbidden"
	case errors.As(trouble, &missing):
		return string(sum.Result) + ": not found"
	case errors.As(trouble, &unavailable):
		return string(sum.Result) + ": GitHub unavailable"
	default:
		return string(sum.Result) + ": other"
	}
}

// failuresField lists some of the failures.
func failuresField(failures []collect.Failure) zap.Field {
	if len(failures) == 0 {
		return zap.Skip()
	}
	list := make([]string, 0, maxListed)
	for i, f := range failures {
		if i == maxListed {
			list = append(list, fmt.Sprintf("and %d more", len(failures)-i))
			break
		}
		list = append(list, fmt.Sprintf("%s of %s: %v", f.Stream, f.Repo, f.Err))
	}
	return zap.Strings("failures", list)
}

// maxListed is how many failures a log line lists.
const maxListed = 3
