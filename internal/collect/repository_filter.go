// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package collect

import (
	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/pattern"
)

// Filter selects the repositories that are read. Its zero value selects none.
type Filter struct {
	include, exclude pattern.List
	archived, forks  bool
}

// NewFilter makes a filter that selects the repositories whose name matches a pattern of include and none of exclude.
// Archived repositories and forks are selected only with archived and forks. Its error is that of an invalid pattern.
func NewFilter(include, exclude []string, archived, forks bool) (Filter, error) {
	f := Filter{archived: archived, forks: forks}
	var err error
	if f.include, err = pattern.CompileList(include); err != nil {
		return f, err
	}
	f.exclude, err = pattern.CompileList(exclude)
	return f, err
}

// filterDecision is the result of applying a filter to a repository.
type filterDecision uint8

const (
	filterSelected filterDecision = iota
	filterArchived                // archived: its recorded events stay, and nothing new can happen
	filterExcluded                // treated like a repository that is gone
)

// decide applies the filter to a repository.
func (f *Filter) decide(r *activity.Repository) filterDecision {
	switch {
	case !f.include.Match(r.Name) || f.exclude.Match(r.Name) || (r.Fork && !f.forks):
		return filterExcluded
	case r.Archived && !f.archived:
		return filterArchived
	default:
		return filterSelected
	}
}

// UnmatchedPatterns are the patterns of a filter that match no repository of the organization, whether archived, fork
// or neither.
type UnmatchedPatterns struct{ Include, Exclude []string }

// patternMatches records, during a pass, which patterns of a filter match a repository: by the index of the pattern.
type patternMatches struct{ include, exclude []bool }

// newPatternMatches returns matches in which no pattern has matched yet.
func (f *Filter) newPatternMatches() patternMatches {
	return patternMatches{include: make([]bool, len(f.include)), exclude: make([]bool, len(f.exclude))}
}

// record records the patterns that match the name of a repository.
func (m *patternMatches) record(f *Filter, name string) {
	recordMatches(f.include, m.include, name)
	recordMatches(f.exclude, m.exclude, name)
}

// recordMatches records in matched, by index, the patterns of a list that match a name.
func recordMatches(list pattern.List, matched []bool, name string) {
	for i := range list {
		matched[i] = matched[i] || list[i].Match(name)
	}
}

// unmatched returns the patterns of the filter that have matched no repository.
func (m *patternMatches) unmatched(f *Filter) UnmatchedPatterns {
	return UnmatchedPatterns{
		Include: patternsWithoutMatch(f.include, m.include), Exclude: patternsWithoutMatch(f.exclude, m.exclude),
	}
}

// patternsWithoutMatch returns the patterns of a list whose index is not set in matched.
func patternsWithoutMatch(list pattern.List, matched []bool) []string {
	var texts []string
	for i := range list {
		if !matched[i] {
			texts = append(texts, list[i].String())
		}
	}
	return texts
}
