// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubtest

import (
	"cmp"
	"net/http"
	"strings"

	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest/dataset"
	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest/internal/served"
)

func addUserRoutes(t *routeTable) {
	t.get("/meta", (*exchange).meta).open = true
	t.get("/rate_limit", (*exchange).rateLimit).free = true
	t.get("/user", (*exchange).authenticatedUser)
}

func (x *exchange) meta() response {
	return newResponse(http.StatusOK, obj{
		"verifiable_password_authentication": false, "hooks": []string{"192.30.252.0/22"},
		"web": []string{"192.30.252.0/22"},
		"api": []string{"192.30.252.0/22"}, "git": []string{"192.30.252.0/22"},
	})
}

// rateLimit returns all rate limits; it is not charged
// (https://docs.github.com/rest/rate-limit/rate-limit).
func (x *exchange) rateLimit() response {
	if x.server.settings.NoRateLimits {
		return errorResponse(http.StatusNotFound, "Rate limiting is not enabled.")
	}
	quota := func(resource string) obj {
		return x.server.limits.quota(bucketKey{x.cred.bucket(), resource}, x.server.now()).json()
	}
	core := quota(ResourceCore)
	return newResponse(
		http.StatusOK, obj{"resources": obj{ResourceCore: core, ResourceGraphQL: quota(ResourceGraphQL)}, "rate": core},
	)
}

func (x *exchange) authenticatedUser() response {
	login := cmp.Or(x.cred.Login, x.cred.name())
	return newResponse(http.StatusOK, x.userJSON(served.NewUser(login)))
}

// userJSON returns an account (https://docs.github.com/rest/users/users), null for nil. Bots are "name[bot]" of type
// Bot.
func (x *exchange) userJSON(a *served.Account) any {
	if a == nil {
		return nil
	}
	html := served.WebURL + "/" + a.Login
	if name, ok := strings.CutSuffix(a.Login, "[bot]"); ok {
		html = served.WebURL + "/apps/" + name
	}
	return obj{
		"login": a.Login, "id": a.ID, "node_id": a.NodeID(), "type": a.Type,
		"site_admin": false,
		"avatar_url": served.AvatarURL(a.ID), "html_url": html, "url": x.baseURL + "/users/" + a.Login,
	}
}

// ownerJSON returns the owner of a repository.
func (x *exchange) ownerJSON(r *served.Repo) obj {
	id := dataset.NumericID("org", r.Owner)
	if o := x.Index.OrgByLogin[strings.ToLower(r.Owner)]; o != nil {
		id = o.DatabaseID
	}
	return obj{
		"login": r.Owner, "id": id, "node_id": served.NodeID(served.NodeOrg, id), "type": "Organization",
		"site_admin": false,
		"avatar_url": served.AvatarURL(id), "html_url": served.WebURL + "/" + r.Owner,
		"url": x.baseURL + "/orgs/" + r.Owner,
	}
}
