// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package teams

import (
	"fmt"
	"hash/fnv"

	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
	"github.com/seed-358c4d9d/githubexporter/internal/pattern"
)

// Selection says which teams are read, and who counts as a member.
type Selection struct {
	// Include and Exclude are patterns of slugs.
	Include, Exclude pattern.List
	// Nested counts the members of child teams as members of their parents. Secret selects secret teams, too.
	Nested, Secret bool
}

// Selects reports whether a team is selected.
func (s *Selection) Selects(slug string, secret bool) bool {
	return (s.Secret || !secret) && s.Include.Match(slug) && !s.Exclude.Match(slug)
}

// Shows reports whether a stored team is one of the selection. One that was read with other settings is not.
func (s *Selection) Shows(t *ledger.Team) bool {
	return t.Nested == s.Nested && s.Selects(t.Slug, t.Secret)
}

// Fingerprint identifies the settings.
func (s *Selection) Fingerprint() uint64 {
	h := fnv.New64a()
	for _, list := range []pattern.List{s.Include, s.Exclude} {
		for i := range list {
			_, _ = fmt.Fprintf(h, "%q ", list[i].String())
		}
		_, _ = h.Write([]byte{0})
	}
	_, _ = fmt.Fprintf(h, "%t %t", s.Nested, s.Secret)
	return h.Sum64()
}
