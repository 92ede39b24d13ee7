// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package graphql

import (
	"fmt"
	"strings"

	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest/internal/served"
)

// comparisonNode is Comparison.
type comparisonNode struct {
	base, head *served.Commit
	served.Comparison
}

func (comparisonNode) typeName() string { return "Comparison" }

// compare compares a branch as the base with a head, by the name of a branch or of a commit; null where the comparison
// cannot be made.
func (e *execution) compare(n refNode, headRef string) any {
	base, head := e.Head(n.r, n.branch), e.ResolveCommit(n.r, headRef)
	if base == nil || head == nil || !e.HaveCommonAncestor(base, head) {
		return nil
	}
	return comparisonNode{base, head, e.Compare(base, head)}
}

func (n comparisonNode) field(_ *execution, name string, a args) (any, error) {
	switch name {
	case "aheadBy":
		return len(n.Ahead), nil
	case "behindBy":
		return n.Behind, nil
	case "status":
		return strings.ToUpper(n.Status()), nil
	case "baseTarget":
		return commitNode{n.base}, nil
	case "headTarget":
		return commitNode{n.head}, nil
	case "id":
		return served.NodeID("CMP", n.base.Repository.DatabaseID, n.base.SHA+"..."+n.head.SHA), nil
	default: // commits
		var rows []row
		for i, c := range n.Ahead {
			rows = append(rows, row{key: fmt.Sprintf("%06d", i), node: commitNode{c}})
		}
		return connect("ComparisonCommitConnection", rows, a, false)
	}
}
