// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package emit

import (
	"slices"
	"strconv"
	"strings"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger/ledgerview"
)

// addRepository adds what is known of a repository.
func addRepository(s *repoSink, r *ledgerview.Repository) {
	series := repoSeries{repo: r.Name}
	addFlow(s, series, r)
	s.addTime(repoLastEvent, series, r.LastEvent)
	if r.Facts != nil {
		addRepoFacts(s, series, r.Facts)
	}
	if c := r.Counts; c != nil {
		s.addNumber(repoWatchers, series, c.Watchers)
		s.addNumber(repoBranches, series, c.Branches)
		s.addNumber(repoTags, series, c.Tags)
		s.addNumber(repoReleases, series, c.Releases)
		s.addTime(repoLatestRelease, series, c.LatestRelease)
	}
	addRepoStocks(s, series, &r.Stocks)
}

// addRepoFacts adds what listings tell of a repository.
func addRepoFacts(s *repoSink, series repoSeries, f *activity.RepoFacts) {
	s.addGauge(repoInfo, repoSeries{series.repo, s.emitter.infoLabels(f)}, 1)
	s.addNumber(repoStars, series, f.Stars)
	s.addNumber(repoForks, series, f.Forks)
	s.addNumber(repoSize, series, f.Size)
	s.addTime(repoCreated, series, f.CreatedAt)
	s.addTime(repoPushed, series, f.PushedAt)
}

// infoLabels returns the properties of a repository as labels.
func (e *Emitter) infoLabels(f *activity.RepoFacts) repoLabels {
	pairs := []string{
		"visibility", f.Visibility, "default_branch", f.DefaultBranch, "language", f.Language,
		"archived", strconv.FormatBool(f.Archived), "fork", strconv.FormatBool(f.Fork),
	}
	if f.TemplateKnown {
		pairs = append(pairs, "template", strconv.FormatBool(f.Template))
	}
	for _, topic := range f.Topics {
		if slices.Contains(e.settings.Topics, topic.Name) {
			pairs = append(pairs, LabelName("topic_", topic.Name), strconv.FormatBool(topic.Has))
		}
	}
	for _, p := range f.Properties {
		if slices.Contains(e.settings.Properties, p.Name) {
			pairs = append(pairs, LabelName("property_", p.Name), p.Value)
		}
	}
	return newRepoLabels(pairs...)
}

// LabelName returns the name of the label of a topic or a custom property, with what no label of Prometheus may have
// replaced as Prometheus would.
func LabelName(prefix, name string) string {
	return prefix + strings.Map(func(r rune) rune {
		if r == '_' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
			return r
		}
		return '_'
	}, name)
}

// addRepoTotals adds the number of repositories by visibility and state.
func addRepoTotals(s *repoSink, totals []ledger.RepoTotal) {
	for i := range totals {
		labels := newRepoLabels("visibility", totals[i].Visibility, "state", totals[i].State.String())
		s.addGauge(repoCount, repoSeries{labels: labels}, totals[i].Count)
	}
}
