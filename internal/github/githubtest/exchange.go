// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubtest

import (
	"net/http"

	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest/internal/graphql"
	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest/internal/served"
)

// exchange is one request on its way to a response.
type exchange struct {
	served.View

	server     *Server
	cred       *Credential
	request    *http.Request
	info       RequestInfo
	baseURL    string // scheme, host and prefix of the API
	path       string // below the base
	route      *route // nil for an unknown path
	pathVars   map[string]string
	repository *served.Repo     // of the path, nil for none
	query      *graphql.Request // nil for REST
	fault      *Effect          // nil for none
}
