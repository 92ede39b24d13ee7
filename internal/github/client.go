// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package github

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	gogithub "github.com/google/go-github/v66/github"
	"golang.org/x/sync/semaphore"

	"github.com/seed-358c4d9d/githubexporter/internal/github/budget"
)

const (
	// apiVersion is the version of the REST API that the decoders are for
	// (https://docs.github.com/rest/about-the-rest-api/api-versions).
	apiVersion = "2022-11-28"
	// maxBody bounds a response, in bytes. The largest of GitHub have some hundred KiB.
	maxBody = 32 << 20
	// maxRedirects bounds the redirects of a renamed repository.
	maxRedirects = 5
	// maxSkew bounds the clock skew that is accepted from a response.
	maxSkew = 7 * 24 * time.Hour
)

// Client reads one organization's activity with one credential. It is safe for concurrent use.
type Client struct {
	settings Settings
	restAPI  *gogithub.Client // builds requests and has the types of the responses; it sends nothing
	graphql  *url.URL
	http     *http.Client
	slots    *semaphore.Weighted
	// maybeNoAPI says that the endpoint is the root of a host that is not named as those of an API are.
	maybeNoAPI bool
	// state is what the readers remember.
	state readerState
	// schema is what the server's GraphQL schema lacks.
	schema schemaGaps
	skew   atomic.Int64
	// isClockSynced reports that a response has had a date.
	isClockSynced atomic.Bool
}

// New makes a client. Its error is one of the settings.
func New(settings Settings) (*Client, error) {
	settings, rest, graphql, err := settings.withDefaults()
	if err != nil {
		return nil, err
	}
	c := &Client{
		settings: settings, restAPI: gogithub.NewClient(nil), graphql: graphql,
		state:      newReaderState(),
		slots:      semaphore.NewWeighted(int64(settings.Concurrency)),
		maybeNoAPI: rest.Path == "/" && !strings.HasPrefix(rest.Host, "api."),
	}
	c.restAPI.BaseURL = rest
	c.restAPI.UserAgent = settings.UserAgent
	own := *settings.HTTP
	own.CheckRedirect = checkRedirect
	c.http = &own
	if app, ok := settings.Credential.(*appCredential); ok {
		app.setClient(c)
	}
	return c, nil
}

// Skew returns how far GitHub's clock is ahead of the local one, in whole seconds rounded down, by its last response.
// Negative is behind. Before the first response it is 0.
func (c *Client) Skew() time.Duration { return time.Duration(c.skew.Load()) }

// InstallationID is the id of the App's installation that the client reads with; 0 for another credential, and as long
// as it is not found out.
func (c *Client) InstallationID() int64 {
	if app, ok := c.settings.Credential.(*appCredential); ok {
		return app.installation()
	}
	return 0
}

// Quotas returns the primary limits of the credential that are known and not over, by GitHub's clock. It does no I/O.
func (c *Client) Quotas() map[budget.Resource]budget.Quota {
	limits := c.settings.Budget.Quotas(c.githubNow())
	delete(limits, budget.ResourceApp)
	return limits
}

// RefreshQuotas reads the limits that other users of the credential have reported to the budget. It sends no request.
func (c *Client) RefreshQuotas(ctx context.Context) error {
	return c.settings.Budget.Refresh(ctx, c.githubNow())
}

// IsInstallationPending reports whether the client reads with an App's installation whose id is not known yet.
func (c *Client) IsInstallationPending() bool {
	app, ok := c.settings.Credential.(*appCredential)
	return ok && app.installation() == 0
}

// observeDate sets the skew by a response's Date header. A date that is years away comes from a proxy without a clock.
func (c *Client) observeDate(header http.Header) {
	date, err := http.ParseTime(header.Get("Date"))
	if skew := date.Sub(c.settings.Now()); err == nil && skew.Abs() < maxSkew {
		c.skew.Store(int64(skew.Truncate(time.Second)))
		c.isClockSynced.Store(true)
	}
}

var errRedirectLoop = errors.New("too many redirects")

// errRedirect names the target of a redirect that is not followed, without what may be a secret in it.
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
