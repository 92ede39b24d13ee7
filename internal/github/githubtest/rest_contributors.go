// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubtest

import (
	"cmp"
	"net/http"
	"slices"

	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest/internal/served"
)

func addContributorRoutes(t *routeTable) {
	t.repo("/contributors", "metadata", (*exchange).listContributors)
}

// repositoryContributor is an account with the number of its commits on the default branch.
type repositoryContributor struct {
	account *served.Account
	commits int
}

// listContributors lists the accounts with commits on the default branch, those with the most first. Authors without an
// account are left out, as without the parameter anon
// (https://docs.github.com/rest/repos/repos#list-repository-contributors).
func (x *exchange) listContributors() response {
	head := x.Head(x.repository, x.DefaultBranch(x.repository))
	if head == nil {
		return response{status: http.StatusNoContent}
	}
	by := map[int64]*repositoryContributor{}
	var all []*repositoryContributor
	for c := range x.Walk(head) {
		account := x.Index.Account(c.Login)
		if account == nil {
			continue
		}
		if by[account.ID] == nil {
			by[account.ID] = &repositoryContributor{account: account}
			all = append(all, by[account.ID])
		}
		by[account.ID].commits++
	}
	slices.SortFunc(all, func(a, b *repositoryContributor) int {
		return cmp.Or(cmp.Compare(b.commits, a.commits), cmp.Compare(a.account.ID, b.account.ID))
	})
	return listRepo(x, all, func(c *repositoryContributor) obj {
		return obj{
			"login": c.account.Login, "id": c.account.ID, "type": c.account.Type, "contributions": c.commits,
		}
	})
}
