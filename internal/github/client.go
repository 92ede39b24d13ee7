// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package github

import (
	"github.com/seed-358c4d9d/githubexporter/internal/flow"
	"github.com/seed-358c4d9d/githubexporter/internal/github/transport"
)

// API selects the APIs of GitHub that a Client uses.
type API string

// The APIs.
const (
	APIGraphQL API = "graphql" // with REST where REST is cheaper
	APIREST    API = "rest"    // REST alone
)

// Settings configure a Client.
type Settings struct {
	API API
	// Flow are the rules of durations and sizes.
	Flow flow.Rules
	// Topics and Properties are the topics and the custom properties of repositories that are read.
	Topics, Properties []string
	// OnSchemaError is called for each query that the server's GraphQL schema refuses, once an hour for each; nil for
	// no call. It must not block.
	OnSchemaError func(*SchemaError)
}

// Client reads the activity of organizations. It is safe for concurrent use.
type Client struct {
	settings  Settings
	transport *transport.Client
	// state is what the readers remember.
	state readerState
	// schema is what the server's GraphQL schema lacks.
	schema schemaGaps
	// properties are the custom properties of repositories, as the last discovery read them.
	properties propertyValues
}

// New makes a client that sends its requests with another one.
func New(requests *transport.Client, settings Settings) *Client {
	if settings.OnSchemaError == nil {
		settings.OnSchemaError = func(*SchemaError) {}
	}
	return &Client{settings: settings, transport: requests, state: newReaderState()}
}
