// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package github

import (
	gogithub "github.com/google/go-github/v66/github"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
)

// relation is how a former head relates to the present one.
type relation uint8

const (
	relationUnknown relation = iota
	// relationReached says that the present head reaches it.
	relationReached
	// relationNone says that GitHub has no comparison of the two.
	relationNone
)

// formerTips is what a reading finds out, beside its events, about the heads from which former readings listed
// commits.
type formerTips struct {
	// relations are by the object names of the heads; nil when no commits were read before.
	relations map[string]relation
	// listed are the commits that this reading has listed from the present head.
	listed []activity.ID
}

// newFormerTips returns the heads of a request, with unknown relations; none when no commits were read before.
func newFormerTips(request *ReadRequest) formerTips {
	var h formerTips
	if !request.hadCommits() {
		return h
	}
	h.relations = make(map[string]relation, 1+len(request.Tips))
	for _, name := range append([]string{request.ReadHead}, request.Tips...) {
		h.relations[name] = relationUnknown
	}
	return h
}

// addNodes records commits that the present head reaches, and so their parents.
func (h *formerTips) addNodes(nodes []*commitNode) {
	if h.relations == nil {
		return
	}
	for _, n := range nodes {
		h.addListed(n.OID)
		for _, parent := range n.Parents.Nodes {
			if parent != nil {
				h.addReached(parent.OID)
			}
		}
	}
}

// addRows is addNodes for the rows of REST.
func (h *formerTips) addRows(rows []*gogithub.RepositoryCommit) {
	if h.relations == nil {
		return
	}
	for _, row := range rows {
		h.addListed(row.GetSHA())
		for _, parent := range row.Parents {
			h.addReached(parent.GetSHA())
		}
	}
}

// addListed records a commit that was listed from the present head.
func (h *formerTips) addListed(name string) {
	h.addReached(name)
	if id, err := activity.CommitID(name); err == nil {
		h.listed = append(h.listed, id)
	}
}

// addReached records that the present head reaches a commit.
func (h *formerTips) addReached(name string) {
	if _, isFormer := h.relations[name]; isFormer {
		h.relations[name] = relationReached
	}
}

// observe records the result of a comparison from a former head to the present one. The last one counts.
func (h *formerTips) observe(name, status string, err error) {
	if h.relations == nil {
		return
	}
	switch {
	case isIncomparable(err):
		h.relations[name] = relationNone
	case err == nil && (status == "ahead" || status == "identical"):
		h.relations[name] = relationReached
	default:
		h.relations[name] = relationUnknown
	}
}
