// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubtest

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest/dataset"
	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest/internal/served"
)

func addAppRoutes(t *routeTable) {
	t.get("/app", (*exchange).getApp).app = true
	t.get("/app/installations", (*exchange).listInstallations).app = true
	t.get("/app/installations/{installation_id}", (*exchange).getInstallation).app = true
	t.get("/orgs/{org}/installation", (*exchange).orgInstallation).app = true
	tokens := t.get("/app/installations/{installation_id}/access_tokens", (*exchange).createInstallationToken)
	tokens.method, tokens.app = http.MethodPost, true
}

// authenticateApp returns the credential of a GitHub App by its JSON web token or, with nil, the refusal.
func (x *exchange) authenticateApp() (*Credential, response) {
	_, token, _ := strings.Cut(x.request.Header.Get("Authorization"), " ")
	app, status, message := x.server.credentials.verifyJWT(token, x.server.now().Unix())
	if app == nil {
		return nil, errorResponse(status, message)
	}
	name := strconv.FormatInt(app.ID, 10)
	return &Credential{Name: "app-" + name, Bucket: "app:" + name, app: app}, response{}
}

func (x *exchange) getApp() response {
	a := x.cred.app
	return newResponse(http.StatusOK, obj{
		"id": a.ID, "client_id": a.ClientID, "slug": a.Slug, "name": a.Slug, "node_id": served.NodeID("A", a.ID),
		"html_url": served.WebURL + "/apps/" + a.Slug, "installations_count": len(a.Installations),
	})
}

func (x *exchange) installationJSON(i Installation) obj {
	id := dataset.NumericID("org", i.Org)
	if o := x.Index.OrgByLogin[strings.ToLower(i.Org)]; o != nil {
		id = o.DatabaseID
	}
	j := obj{
		"id": i.ID, "app_id": x.cred.app.ID, "app_slug": x.cred.app.Slug, "client_id": x.cred.app.ClientID,
		"account": obj{"login": i.Org, "id": id, "type": "Organization"}, "target_type": "Organization",
		"target_id":            id,
		"repository_selection": "all", "permissions": permissions(i), "events": []string{}, "suspended_at": nil,
		"access_tokens_url": fmt.Sprintf("%s/app/installations/%d/access_tokens", x.baseURL, i.ID),
		"html_url":          fmt.Sprintf("%s/organizations/%s/settings/installations/%d", served.WebURL, i.Org, i.ID),
		"created_at":        served.FormatTime(x.Index.Timeline.Start),
		"updated_at":        served.FormatTime(x.Index.Timeline.Start),
	}
	if i.Suspended {
		j["suspended_at"] = served.FormatTime(x.Index.Timeline.Start)
	}
	return j
}

// permissions returns the permissions of an installation, each to read.
func permissions(i Installation) map[string]string {
	p := map[string]string{
		"metadata": "read", "contents": "read", "issues": "read", "pull_requests": "read",
		"members": "read",
	}
	for _, f := range i.Forbidden {
		delete(p, f)
	}
	return p
}

func (x *exchange) listInstallations() response {
	return list(x, x.baseURL+"/app/installations", x.cred.app.Installations, x.installationJSON)
}

// getInstallation is an installation by its id
// (https://docs.github.com/rest/apps/apps#get-an-installation-for-the-authenticated-app).
func (x *exchange) getInstallation() response {
	for _, i := range x.cred.app.Installations {
		if i.ID == served.ParseInt(x.pathVars["installation_id"]) {
			return newResponse(http.StatusOK, x.installationJSON(i))
		}
	}
	return notFoundResponse()
}

// orgInstallation is the installation in an organization
// (https://docs.github.com/rest/apps/apps#get-an-organization-installation-for-the-authenticated-app).
func (x *exchange) orgInstallation() response {
	for _, i := range x.cred.app.Installations {
		if strings.EqualFold(i.Org, x.pathVars["org"]) {
			return newResponse(http.StatusOK, x.installationJSON(i))
		}
	}
	return notFoundResponse()
}

// tokenLength is the number of characters of an installation token: GitHub's have some 520 since April 2026, and may
// have more.
const tokenLength = 540

// installationToken returns a token that is unique by the number of its request.
func installationToken(id int64, seq int) string {
	token := fmt.Sprintf("ghs_%d_%d_", id, seq)
	return token + strings.Repeat("x", tokenLength-len(token))
}

// createInstallationToken accepts and returns a new token that expires after an hour
// (https://docs.github.com/rest/apps/apps#create-an-installation-access-token-for-an-app).
func (x *exchange) createInstallationToken() response {
	for _, i := range x.cred.app.Installations {
		if i.ID != served.ParseInt(x.pathVars["installation_id"]) {
			continue
		}
		if i.Suspended {
			return errorResponse(http.StatusForbidden, "This installation has been suspended")
		}
		name := fmt.Sprintf("installation-%d", i.ID)
		c := Credential{
			Token: installationToken(i.ID, x.info.Seq), Name: name, Login: x.cred.app.Slug + "[bot]",
			Orgs:   []string{i.Org},
			Bucket: name, Forbidden: i.Forbidden, expiresAt: x.Now.Add(time.Hour).UTC().Truncate(time.Second),
		}
		x.server.credentials.add(c)
		return newResponse(http.StatusCreated, obj{
			"token": c.Token, "expires_at": served.FormatTime(c.expiresAt), "permissions": permissions(i),
			"repository_selection": "all",
		})
	}
	return notFoundResponse()
}
