package collect

import (
	"errors"
	"maps"
	"slices"
	"sync"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/github"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
)

// permissions remembers which permissions the credential lacks for what is to be read. Its zero value is ready; it is
// safe for concurrent use.
type permissions struct {
	mu sync.Mutex
	// streams are the permissions that streams of repositories lack, listing those of the list of repositories.
	streams map[refusalKey][]string
	listing []string
}

// permissionOf is the permission that reading a stream needs
// (https://docs.github.com/rest/authentication/permissions-required-for-fine-grained-personal-access-tokens).
func permissionOf(s activity.Stream) string {
	switch s {
	case activity.StreamCommits:
		return "contents"
	case activity.StreamPulls:
		return "pull_requests"
	case activity.StreamComments:
		return "issues"
	default:
		return ""
	}
}

// missingPermissions are the permissions that an error says are missing.
func missingPermissions(err error, wanted string) []string {
	forbidden, ok := errors.AsType[*github.ForbiddenError](err)
	if !ok {
		return nil
	}
	missing, _ := forbidden.LacksPermission(wanted)
	return missing
}

// record takes the outcome of a reading of a stream: nil when it could be read. Of what failed for another reason it is
// not known whether the credential may read it now: what was known stays.
func (p *permissions) record(repo int64, s activity.Stream, err error) {
	missing := missingPermissions(err, permissionOf(s))
	if err != nil && missing == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	key := refusalKey{repo, s}
	if err == nil {
		delete(p.streams, key)
		return
	}
	if p.streams == nil {
		p.streams = make(map[refusalKey][]string)
	}
	p.streams[key] = missing
}

// recordListing takes the outcome of asking for the list of repositories.
func (p *permissions) recordListing(err error) {
	missing := missingPermissions(err, "metadata")
	if err != nil && missing == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.listing = missing
}

// prune drops the streams of repositories that are not there any more, and those without a gap: others have read them,
// or they are switched off.
func (p *permissions) prune(cov *ledger.Coverage) {
	p.mu.Lock()
	defer p.mu.Unlock()
	maps.DeleteFunc(p.streams, func(key refusalKey, _ []string) bool {
		repo := cov.Repos[key.repo]
		return repo == nil || len(repo.Gaps(key.stream)) == 0
	})
}

// missing are the permissions that are missing for anything, sorted.
func (p *permissions) missing() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := slices.Clone(p.listing)
	for _, list := range p.streams {
		all = append(all, list...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// MissingPermissions are the permissions that the credential lacks for something that is to be read, as GitHub names
// them, sorted. One is in them until what needs it was read, or is not there any more.
func (c *Collector) MissingPermissions() []string { return c.permissions.missing() }
