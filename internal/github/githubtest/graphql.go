// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubtest

import (
	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest/internal/graphql"
	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest/internal/served"
)

// SchemaSource is the part of GitHub's GraphQL schema that the server has.
var SchemaSource = graphql.SchemaSource

// RepositoryNodeID returns the global id of a repository, as queries have it among their variables.
func RepositoryNodeID(id int64) string { return served.NodeID(served.NodeRepo, id) }
