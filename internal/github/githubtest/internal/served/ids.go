// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package served

import (
	"encoding/base64"
	"fmt"
	"strings"
	"time"
)

// Kinds of node ids.
const (
	NodeRepo    = "R"
	NodePull    = "PR"
	NodeReview  = "PRR"
	NodeIssue   = "I"
	NodeComment = "IC"
	NodeClosing = "CE"
	NodeCommit  = "C"
	NodeRef     = "REF"
	NodeUser    = "U"
	NodeOrg     = "O"
)

// NodeID is a global id: opaque to clients, with a prefix for the kind as GitHub's have
// (https://docs.github.com/graphql/guides/using-global-node-ids).
func NodeID(kind string, parts ...any) string {
	s := make([]string, len(parts))
	for i, p := range parts {
		s[i] = fmt.Sprint(p)
	}
	return kind + "_" + base64.RawURLEncoding.EncodeToString([]byte(strings.Join(s, ":")))
}

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

// SortKey sorts reviews in the order of their submission, pending ones last.
func (r *Review) SortKey() string {
	if r.Submitted == nil {
		return "~" + SortKey(time.Time{}, r.ID)
	}
	return SortKey(*r.Submitted, r.ID)
}

// SortKey is a string that sorts by time and then by id.
func SortKey(t time.Time, id int64) string {
	return fmt.Sprintf("%s|%020d", t.UTC().Format(time.RFC3339), id)
}
