// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubtest

import (
	"encoding/base64"
	"fmt"
	"hash/fnv"
	"strconv"
	"strings"
)

// numericID is a stable positive 31-bit id: GraphQL's databaseId is a signed 32-bit number.
func numericID(kind, name string) int64 {
	h := fnv.New32a()
	_, _ = h.Write([]byte(kind + ":" + strings.ToLower(name)))
	return int64(h.Sum32()&0x7ffffffe) + 1
}

// Kinds of node ids.
const (
	nodeRepo    = "R"
	nodePull    = "PR"
	nodeReview  = "PRR"
	nodeIssue   = "I"
	nodeComment = "IC"
	nodeClosing = "CE"
	nodeCommit  = "C"
	nodeRef     = "REF"
	nodeUser    = "U"
	nodeOrg     = "O"
)

// nodeID is a global id: opaque to clients, with a prefix for the kind as GitHub's have
// (https://docs.github.com/graphql/guides/using-global-node-ids).
func nodeID(kind string, parts ...any) string {
	s := make([]string, len(parts))
	for i, p := range parts {
		s[i] = fmt.Sprint(p)
	}
	return kind + "_" + base64.RawURLEncoding.EncodeToString([]byte(strings.Join(s, ":")))
}

// RepositoryNodeID is the global id of a repository, as queries have it among their variables.
func RepositoryNodeID(id int64) string { return nodeID(nodeRepo, id) }

func parseNodeID(id string) (kind string, parts []string, ok bool) {
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

func atoi(s string) int64 {
	n, _ := strconv.ParseInt(s, 10, 64)
	return n
}
