// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package activity

import (
	"slices"
	"time"
)

// Number is a number that may be unknown.
type Number struct {
	Value   uint64
	IsKnown bool
}

// KnownNumber returns a known number.
func KnownNumber(value uint64) Number { return Number{value, true} }

// Property is a custom property of a repository with its value; the values of a property with several are joined by
// commas.
type Property struct{ Name, Value string }

// Topic is a topic that was read of a repository. Has says that the repository has it.
type Topic struct {
	Name string
	Has  bool
}

// RepoFacts are what listings of repositories tell of one besides signals, without requests of their own. A field that
// GitHub did not return is empty, zero or not known.
type RepoFacts struct {
	// Visibility is public, private or internal.
	Visibility string
	// DefaultBranch is the name of the default branch. GraphQL has none of a repository without commits.
	DefaultBranch string
	// Language is the language of most of the code, as GitHub names it.
	Language string
	// Archived, Fork and Empty are GitHub's flags. Template is valid where TemplateKnown is set.
	Archived, Fork, Empty   bool
	Template, TemplateKnown bool
	// Stars and Forks are counts, Size is in bytes.
	Stars, Forks, Size Number
	// CreatedAt is the time of the creation, PushedAt that of the newest push to any branch.
	CreatedAt, PushedAt time.Time
	// Topics are the configured topics, by name; none where they were not read.
	Topics []Topic
	// Properties are those of the configured properties that have a value, by name. They are valid where
	// PropertiesKnown is set.
	Properties      []Property
	PropertiesKnown bool
}

// Equal reports whether all facts are equal; times are compared as instants.
func (f *RepoFacts) Equal(o *RepoFacts) bool {
	return f.Visibility == o.Visibility && f.DefaultBranch == o.DefaultBranch && f.Language == o.Language &&
		f.Archived == o.Archived && f.Fork == o.Fork && f.Empty == o.Empty && f.Template == o.Template &&
		f.TemplateKnown == o.TemplateKnown && f.Stars == o.Stars && f.Forks == o.Forks && f.Size == o.Size &&
		f.CreatedAt.Equal(o.CreatedAt) && f.PushedAt.Equal(o.PushedAt) && slices.Equal(f.Topics, o.Topics) &&
		slices.Equal(f.Properties, o.Properties) && f.PropertiesKnown == o.PropertiesKnown
}

// RepoCounts are counts of a repository that cost requests or points, so that they are read with its activity.
type RepoCounts struct {
	Watchers, Branches, Tags, Releases Number
	// LatestRelease is the publication of the release that GitHub calls the latest; zero for none, and where it is
	// unknown.
	LatestRelease time.Time
	// OfFacts is a digest of the facts after which they were read, 0 where there are none.
	OfFacts uint64
}

// RepoState is the state of a repository, of which it has one at a time. Its values are stored.
type RepoState uint8

// The states in the order of precedence: an archived fork is archived, an empty fork is a fork.
const (
	RepoArchived RepoState = iota
	RepoFork
	RepoEmpty
	RepoActive
)

// NumRepoStates is the number of states.
const NumRepoStates = 4

// String returns the name of the state, as a label shows it.
func (s RepoState) String() string {
	return [NumRepoStates]string{"archived", "fork", "empty", "active"}[s]
}

// State returns the state of the repository.
func (f *RepoFacts) State() RepoState {
	switch {
	case f.Archived:
		return RepoArchived
	case f.Fork:
		return RepoFork
	case f.Empty:
		return RepoEmpty
	default:
		return RepoActive
	}
}
