// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubtest

import (
	"strconv"

	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest/internal/served"
)

// RepositoryNodeID is the global id of a repository, as queries have it among their variables.
func RepositoryNodeID(id int64) string { return served.NodeID(served.NodeRepo, id) }

func atoi(s string) int64 {
	n, _ := strconv.ParseInt(s, 10, 64)
	return n
}
