package collect

import (
	"fmt"

	"github.com/gobwas/glob"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
)

// Filter says which repositories are read.
type Filter struct {
	include, exclude []glob.Glob
	archived, forks  bool
}

// NewFilter reads repositories of which a pattern of include and none of exclude matches the name, archived ones and
// forks only when asked for. Patterns are names or globs (*, ?, [a-z], {a,b}).
func NewFilter(include, exclude []string, archived, forks bool) (Filter, error) {
	f := Filter{archived: archived, forks: forks}
	var err error
	if f.include, err = compile(include); err != nil {
		return f, err
	}
	f.exclude, err = compile(exclude)
	return f, err
}

func compile(patterns []string) ([]glob.Glob, error) {
	globs := make([]glob.Glob, 0, len(patterns))
	for _, p := range patterns {
		g, err := glob.Compile(p)
		if err != nil {
			return nil, fmt.Errorf("pattern %q: %w", p, err)
		}
		globs = append(globs, g)
	}
	return globs, nil
}

// verdict is what a filter says of a repository.
type verdict uint8

const (
	wanted   verdict = iota
	resting          // archived and not asked for: what was recorded of it stays true, nothing new can happen
	unwanted         // excluded: as if it were not there
)

func (f *Filter) judge(r *activity.Repository) verdict {
	switch {
	case !matches(f.include, r.Name) || matches(f.exclude, r.Name) || (r.Fork && !f.forks):
		return unwanted
	case r.Archived && !f.archived:
		return resting
	default:
		return wanted
	}
}

func matches(globs []glob.Glob, name string) bool {
	for _, g := range globs {
		if g.Match(name) {
			return true
		}
	}
	return false
}
