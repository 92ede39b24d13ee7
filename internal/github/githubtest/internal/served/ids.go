// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package served

import (
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// The kinds of NodeID: the prefixes of the ids.
const (
	NodeRepo    = "R"
	NodePull    = "PR"
	NodeReview  = "PRR"
	NodeRequest = "RR"
	NodeIssue   = "I"
	NodeComment = "IC"
	NodeClosing = "CE"
	NodeChange  = "PE"
	NodeCommit  = "C"
	NodeRef     = "REF"
	NodeUser    = "U"
	NodeOrg     = "O"
)

// NodeID returns a global id: opaque to clients, with a prefix for the kind as GitHub's have
// (https://docs.github.com/graphql/guides/using-global-node-ids).
func NodeID(kind string, parts ...any) string {
	s := make([]string, len(parts))
	for i, p := range parts {
		s[i] = fmt.Sprint(p)
	}
	return kind + "_" + base64.RawURLEncoding.EncodeToString([]byte(strings.Join(s, ":")))
}

// ParseNodeID returns the kind and the first two parts of an id of NodeID.
func ParseNodeID(id string) (kind string, parts []string, ok bool) {
	kind, enc, ok := strings.Cut(id, "_")
	if !ok {
		return "", nil, false
	}
	b, err := base64.RawURLEncoding.DecodeString(enc)
	if err != nil {
		return "", nil, false
	}
	return kind, strings.SplitN(string(b), ":", 2), true
}

// ParseInt returns the number in a part of an id or of a path, 0 for a text that is no number.
func ParseInt(s string) int64 {
	n, _ := strconv.ParseInt(s, 10, 64)
	return n
}

// NodeID returns the global id of the organization.
func (o *Org) NodeID() string { return NodeID(NodeOrg, o.DatabaseID) }

// NodeID returns the global id of the repository.
func (r *Repo) NodeID() string { return NodeID(NodeRepo, r.DatabaseID) }

// NodeID returns the global id of the commit.
func (c *Commit) NodeID() string { return NodeID(NodeCommit, c.Repository.DatabaseID, c.SHA) }

// NodeID returns the global id of the pull request.
func (p *Pull) NodeID() string { return NodeID(NodePull, p.Repository.DatabaseID, p.Number) }

// NodeID returns the global id of the review.
func (r *Review) NodeID() string { return NodeID(NodeReview, r.OfPull.Repository.DatabaseID, r.ID) }

// NodeID returns the global id of the issue.
func (i *Issue) NodeID() string { return NodeID(NodeIssue, i.Repository.DatabaseID, i.Number) }

// NodeID returns the global id of the comment.
func (c *Comment) NodeID() string { return NodeID(NodeComment, c.Repository.DatabaseID, c.ID) }

// NodeID returns the global id of the account.
func (a *Account) NodeID() string { return NodeID(NodeUser, a.ID) }

// SortKey returns a text that sorts reviews by their submission, pending ones last.
func (r *Review) SortKey() string {
	if r.Submitted == nil {
		return "~" + SortKey(time.Time{}, r.ID)
	}
	return SortKey(*r.Submitted, r.ID)
}

// SortKey returns a text that sorts by time and then by id.
func SortKey(t time.Time, id int64) string {
	return fmt.Sprintf("%s|%020d", t.UTC().Format(time.RFC3339), id)
}
