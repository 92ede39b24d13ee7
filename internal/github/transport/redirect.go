// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package transport

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
)

// maxRedirects bounds the redirects of a renamed repository.
const maxRedirects = 5

var errRedirectLoop = errors.New("too many redirects")

// errRedirect returns the error of a redirect that is not followed. It names the target without its query and user,
// which may be secrets.
func errRedirect(from, to *url.URL) error {
	target := to.Scheme + "://" + to.Host
	if from.Hostname() == to.Hostname() && from.Scheme != to.Scheme {
		return fmt.Errorf("redirect from %s:// to %s is not followed: configure the endpoint with %s://", from.Scheme,
			target, to.Scheme)
	}
	if from.Host != to.Host {
		return fmt.Errorf("redirect to another host, %s, is not followed: the credential would go there", target)
	}
	return fmt.Errorf("redirect of a query to %s%s is not followed: check graphql_endpoint", target, to.EscapedPath())
}

// checkRedirect follows renamed and transferred repositories, which answer 301 to /repositories/{id}, and nothing that
// would take the credential elsewhere
// (https://docs.github.com/rest/using-the-rest-api/best-practices-for-using-the-rest-api#follow-redirects).
func checkRedirect(req *http.Request, via []*http.Request) error {
	switch {
	case via[0].Method != http.MethodGet, req.URL.Host != via[0].URL.Host, req.URL.Scheme != via[0].URL.Scheme:
		return errRedirect(via[0].URL, req.URL)
	case len(via) > maxRedirects:
		return errRedirectLoop
	}
	return nil
}
