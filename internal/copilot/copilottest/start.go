// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package copilottest

import (
	"crypto/tls"
	"net/http"
	"net/http/httptest"
	"testing"
)

// Running is a server that listens.
type Running struct {
	*Server
	// APIURL is the address of the API, FilesURL that of the files: https at 127.0.0.1.
	APIURL, FilesURL string
	// TLS trusts the host of the files.
	TLS *tls.Config
}

// Start runs a server until the test ends.
func Start(tb testing.TB, settings Settings) *Running {
	tb.Helper()
	server := New(settings)
	api := httptest.NewServer(server.API())
	tb.Cleanup(api.Close)
	files := httptest.NewTLSServer(server.Files())
	tb.Cleanup(files.Close)
	server.SetFilesURL(files.URL)
	config := files.Client().Transport.(*http.Transport).TLSClientConfig
	return &Running{Server: server, APIURL: api.URL, FilesURL: files.URL, TLS: config}
}
