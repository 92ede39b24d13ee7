// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package emit

import (
	"cmp"
	"slices"
	"strconv"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.uber.org/zap"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger/ledgerview"
)

// VCSSettings configure the metrics of the semantic conventions for version control systems
// (https://opentelemetry.io/docs/specs/semconv/cicd/cicd-metrics/#vcs-metrics).
type VCSSettings struct {
	// WebURL is the address of GitHub's pages, without a slash at its end.
	WebURL string
	// MaxRefs bounds the pull requests of an organization that are shown by their branches, and the branches that are
	// compared with the default one.
	MaxRefs int
	// MergedFor is how long a merged pull request is shown.
	MergedFor time.Duration
}

// branchRows are the pull requests of a repository that are shown by their branches.
type branchRows struct {
	series repoSeries
	id     int64
	list   []activity.VCSChange
}

// addVCS adds the numbers of a repository, and keeps its pull requests for addBranches.
func addVCS(s *repoSink, r *ledgerview.Repository) {
	series := repoSeries{repo: r.Name}
	if c := r.VCS.Changes; c != nil {
		for state, n := range c.Count {
			s.addUpDown(vcsChangeCount, withLabels(series, "vcs.change.state", activity.ChangeState(state).String()), n)
		}
		if len(c.List) > 0 {
			s.branches = append(s.branches, branchRows{series: series, id: r.ID, list: c.List})
		}
	}
	s.addNumber(vcsContributorCount, series, r.VCS.Contributors)
	if b := r.VCS.Branches; b != nil && len(b.List) > 0 {
		rows := comparedRows{series: series, id: r.ID, branches: b}
		if r.VCS.Changes != nil {
			rows.changes = r.VCS.Changes.List
		}
		s.compared = append(s.compared, rows)
	}
	if c := r.Counts; c != nil {
		s.addUpDown(vcsRefCount, withLabels(series, "vcs.ref.type", "branch"), c.Branches)
		s.addUpDown(vcsRefCount, withLabels(series, "vcs.ref.type", "tag"), c.Tags)
	}
}

// withLabels returns a series with labels.
func withLabels(series repoSeries, pairs ...string) repoSeries {
	series.labels = newRepoLabels(pairs...)
	return series
}

// addVCSTotal adds the number of repositories, once the organization was listed.
func addVCSTotal(s *repoSink, totals []ledger.RepoTotal) {
	if len(totals) == 0 {
		return
	}
	var sum uint64
	for i := range totals {
		sum += totals[i].Count
	}
	s.addUpDown(vcsRepositoryCount, repoSeries{}, activity.KnownNumber(sum))
}

// branchMetrics are the metrics that have a series for each branch of a pull request.
const branchMetrics = 1<<vcsChangeDuration | 1<<vcsChangeTimeToApproval | 1<<vcsChangeTimeToMerge | 1<<vcsRefLinesDelta

// addBranches adds the pull requests by their branches, those of the newest repositories first, until there are as many
// as may be shown. It returns how many are not.
func (s *repoSink) addBranches(now time.Time) (cut int) {
	if s.emitter.templates.repos.mask()&branchMetrics == 0 {
		return 0
	}
	slices.SortFunc(s.branches, func(a, b branchRows) int { return cmp.Compare(b.id, a.id) })
	limits := &s.emitter.settings.VCS
	shown := 0
	for i := range s.branches {
		rows := &s.branches[i]
		for k := range slices.Backward(rows.list) {
			change := &rows.list[k]
			isMerged := change.State == activity.ChangeMerged
			switch {
			case change.Head == "" || (isMerged && now.Sub(change.Since) > limits.MergedFor):
			case shown >= limits.MaxRefs:
				cut++
			default:
				shown++
				s.addBranch(rows.series, change, now)
			}
		}
	}
	return cut
}

// addBranch adds a pull request by its branch. Where two of a repository have the same labels, the newest is shown.
func (s *repoSink) addBranch(series repoSeries, c *activity.VCSChange, now time.Time) {
	isMerged := c.State == activity.ChangeMerged
	if !isMerged && !c.Since.IsZero() {
		s.addSeconds(vcsChangeDuration,
			withLabels(series, "vcs.change.state", c.State.String(), "vcs.ref.head.name", c.Head), now.Sub(c.Since))
	}
	branches := withLabels(series, "vcs.ref.head.name", c.Head, "vcs.ref.base.name", c.Base)
	if !c.Approved.IsZero() {
		s.addSeconds(vcsChangeTimeToApproval, branches, c.Approved.Sub(c.Created))
	}
	if isMerged {
		s.addSeconds(vcsChangeTimeToMerge, branches, c.Since.Sub(c.Created))
		return
	}
	for kind, n := range map[string]activity.Number{"added": c.Added, "removed": c.Removed} {
		s.addNumber(vcsRefLinesDelta, withLabels(series, "vcs.change.id", strconv.FormatInt(c.Number, 10),
			"vcs.ref.head.name", c.Head, "vcs.ref.head.type", "branch",
			"vcs.ref.base.name", c.Base, "vcs.ref.base.type", "branch", "vcs.line_change.type", kind), n)
	}
}

// comparedRows are the branches of a repository.
type comparedRows struct {
	series   repoSeries
	id       int64
	branches *activity.Branches
	changes  []activity.VCSChange
}

// changeIDs returns the newest open pull request of each branch into the default one.
func (r *comparedRows) changeIDs() map[string]string {
	ids := make(map[string]string)
	for i := range r.changes {
		c := &r.changes[i]
		isOpen := c.State == activity.ChangeOpen || c.State == activity.ChangeWIP
		if isOpen && !c.IsFork && c.Base == r.branches.Trunk {
			ids[c.Head] = strconv.FormatInt(c.Number, 10)
		}
	}
	return ids
}

// comparedMetrics are the metrics that have a series for each branch of a repository.
const comparedMetrics = 1<<vcsRefRevisionsDelta | 1<<vcsRefTime

// addCompared adds the branches of repositories, those of the newest ones first, until there are as many as may be
// shown. It returns how many are not.
func (s *repoSink) addCompared(now time.Time) (cut int) {
	if s.emitter.templates.repos.mask()&comparedMetrics == 0 {
		return 0
	}
	slices.SortFunc(s.compared, func(a, b comparedRows) int { return cmp.Compare(b.id, a.id) })
	left := s.emitter.settings.VCS.MaxRefs
	for i := range s.compared {
		list := s.compared[i].branches.List
		shown := min(left, len(list))
		left, cut = left-shown, cut+len(list)-shown
		ids := s.compared[i].changeIDs()
		for k := range list[:shown] {
			labels := []string{
				"vcs.ref.head.name", list[k].Name, "vcs.ref.head.type", "branch",
				"vcs.ref.base.name", s.compared[i].branches.Trunk, "vcs.ref.base.type", "branch",
			}
			if id := ids[list[k].Name]; id != "" {
				labels = append([]string{"vcs.change.id", id}, labels...)
			}
			s.addComparedBranch(s.compared[i].series, labels, &list[k], now)
		}
	}
	return cut
}

// addComparedBranch adds a branch, whose comparison has labels.
func (s *repoSink) addComparedBranch(series repoSeries, labels []string, b *activity.VCSBranch, now time.Time) {
	for direction, n := range map[string]activity.Number{"ahead": b.Ahead, "behind": b.Behind} {
		pairs := append(slices.Clip(labels), "vcs.revision_delta.direction", direction)
		s.addNumber(vcsRefRevisionsDelta, withLabels(series, pairs...), n)
	}
	if !b.First.IsZero() {
		s.addSeconds(vcsRefTime,
			withLabels(series, "vcs.ref.head.name", b.Name, "vcs.ref.head.type", "branch"), now.Sub(b.First))
	}
}

// addUpDown adds a point of a sum that can fall, where the number is known.
func (s *repoSink) addUpDown(m repoMetric, series repoSeries, n activity.Number) {
	if !n.IsKnown || !s.admit(m, series) {
		return
	}
	point := s.metricOf(m).Sum().DataPoints().AppendEmpty()
	point.SetIntValue(int64(n.Value)) //nolint:gosec // a count
	point.SetTimestamp(s.at)
	s.putLabels(point.Attributes(), m, series)
}

// addSeconds adds a point of a gauge with a duration in seconds, unless the series has one.
func (s *repoSink) addSeconds(m repoMetric, series repoSeries, d time.Duration) {
	if s.history.isShown(series, m) || !s.admit(m, series) {
		return
	}
	point := s.metricOf(m).Gauge().DataPoints().AppendEmpty()
	point.SetDoubleValue(max(0, d.Seconds()))
	point.SetTimestamp(s.at)
	s.putLabels(point.Attributes(), m, series)
}

// putVCSLabels sets the attributes of a point of a metric of the semantic conventions that are the same for all of a
// repository.
func (s *repoSink) putVCSLabels(attributes pcommon.Map, repo string) {
	attributes.PutStr("vcs.owner.name", s.org)
	if repo != "" {
		attributes.PutStr("vcs.repository.name", repo)
		attributes.PutStr("vcs.repository.url.full", s.emitter.settings.VCS.WebURL+"/"+s.org+"/"+repo)
	}
}

// reportCut logs when branches of an organization begin to be left out, or all are shown again.
func (e *Emitter) reportCut(org *organization, cut int) {
	if isCut := cut > 0; isCut != org.isCut {
		org.isCut = isCut
		e.settings.Receiver.Logger.Warn("The metrics vcs.* show some of the branches: see vcs::max_refs_per_org.",
			zap.String("org", org.Org), zap.Int("not_shown", cut))
	}
}
