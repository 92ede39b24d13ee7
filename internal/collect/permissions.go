// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package collect

import (
	"errors"
	"maps"
	"slices"
	"sync"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/github/transport"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
)

// permissions records which permissions the credential lacks for what is to be read. Its zero value is ready; it is
// safe for concurrent use.
type permissions struct {
	mu sync.Mutex
	// streams has, by stream, the permissions that reading it lacks; listing has those that listing the repositories
	// lacks.
	streams map[RepoStream][]string
	listing []string
}

// permissionOf returns the permission that reading a stream needs
// (https://docs.github.com/rest/authentication/permissions-required-for-fine-grained-personal-access-tokens).
func permissionOf(s activity.Stream) string {
	switch s {
	case activity.StreamCommits, activity.StreamReleases:
		return "contents"
	case activity.StreamPulls, activity.StreamPullFlow:
		return "pull_requests"
	case activity.StreamComments, activity.StreamIssues, activity.StreamIssueFlow:
		return "issues"
	default:
		return ""
	}
}

// missingPermissions returns the permissions that an error of GitHub names as missing; nil for another error.
func missingPermissions(err error, wanted string) []string {
	forbidden, ok := errors.AsType[*transport.ForbiddenError](err)
	if !ok {
		return nil
	}
	missing, _ := forbidden.LacksPermission(wanted)
	return missing
}

// record updates the missing permissions of a stream with the error of its reading, nil for success. An error for
// another reason changes nothing: it does not show whether the credential may read the stream.
func (p *permissions) record(repo int64, s activity.Stream, err error) {
	missing := missingPermissions(err, permissionOf(s))
	if err != nil && missing == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	key := RepoStream{repo, s}
	if err == nil {
		delete(p.streams, key)
		return
	}
	if p.streams == nil {
		p.streams = make(map[RepoStream][]string)
	}
	p.streams[key] = missing
}

// recordListing updates the missing permissions of the listing with its error, nil for success.
func (p *permissions) recordListing(err error) {
	missing := missingPermissions(err, "metadata")
	if err != nil && missing == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.listing = missing
}

// prune drops the streams of repositories that are gone, and those without a gap: another replica has read them, or
// they are disabled.
func (p *permissions) prune(cov *ledger.Coverage) {
	p.mu.Lock()
	defer p.mu.Unlock()
	maps.DeleteFunc(p.streams, func(key RepoStream, _ []string) bool {
		repo := cov.Repos[key.RepoID]
		return repo == nil || len(repo.Gaps(key.Stream)) == 0
	})
}

// missing returns all missing permissions, sorted.
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
