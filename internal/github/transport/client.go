// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package transport

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	gogithub "github.com/google/go-github/v66/github"
	"golang.org/x/sync/semaphore"

	"github.com/seed-358c4d9d/githubexporter/internal/github/budget"
)

// maxSkew bounds the clock skew that is accepted from a response.
const maxSkew = 7 * 24 * time.Hour

// Client sends requests with one credential to one host. It is safe for concurrent use.
type Client struct {
	settings Settings
	restAPI  *gogithub.Client // builds requests; it sends nothing
	graphql  *url.URL
	http     *http.Client
	slots    *semaphore.Weighted
	// maybeNoAPI says that the endpoint is the root of a host whose name does not begin with "api.".
	maybeNoAPI bool
	// skew is what Skew returns, in nanoseconds.
	skew atomic.Int64
	// isClockSynced says that skew is known: a response has had a date.
	isClockSynced atomic.Bool
}

// New makes a client. Its error names the setting that is invalid.
func New(settings Settings) (*Client, error) {
	settings, rest, graphql, err := settings.withDefaults()
	if err != nil {
		return nil, err
	}
	c := &Client{
		settings: settings, restAPI: gogithub.NewClient(nil), graphql: graphql,
		slots:      semaphore.NewWeighted(int64(settings.Concurrency)),
		maybeNoAPI: rest.Path == "/" && !strings.HasPrefix(rest.Host, "api."),
	}
	c.restAPI.BaseURL = rest
	c.restAPI.UserAgent = settings.UserAgent
	own := *settings.HTTP
	own.CheckRedirect, own.Timeout = checkRedirect, 0
	c.http = &own
	if settings.Credential != nil {
		settings.Credential.bind(c)
	}
	return c, nil
}

// Now is the time by the client's clock.
func (c *Client) Now() time.Time { return c.settings.Now() }

// GitHubNow is the time by GitHub's clock, as far as its skew is known. The budget uses it because resets are by that
// clock, and because all replicas share it.
func (c *Client) GitHubNow() time.Time { return c.settings.Now().Add(c.Skew()) }

// toLocalTime converts a time by GitHub's clock.
func (c *Client) toLocalTime(t time.Time) time.Time { return t.Add(-c.Skew()) }

// ReportInvalidValue calls Settings.OnInvalidValue.
func (c *Client) ReportInvalidValue(err error) { c.settings.OnInvalidValue(err) }

// Skew returns how far GitHub's clock is ahead of the local one, in whole seconds rounded down, by its last response.
// Negative is behind. Before the first response it is 0.
func (c *Client) Skew() time.Duration { return time.Duration(c.skew.Load()) }

// InstallationID returns the id of the App's installation that authorizes the client; 0 for another credential, and
// until it has been requested.
func (c *Client) InstallationID() int64 {
	if c.settings.Credential == nil {
		return 0
	}
	return c.settings.Credential.installation()
}

// IsInstallationPending reports whether the credential is an App's installation whose id is not known yet.
func (c *Client) IsInstallationPending() bool {
	return c.settings.Credential != nil && c.settings.Credential.isApp() && c.InstallationID() == 0
}

// Quotas returns the primary limits of the credential that are known and not over, by GitHub's clock. It does no I/O.
func (c *Client) Quotas() map[budget.Resource]budget.Quota {
	limits := c.settings.Budget.Quotas(c.GitHubNow())
	delete(limits, budget.ResourceApp)
	return limits
}

// RefreshQuotas reads the limits that other users of the credential have reported to the budget. It sends no request.
func (c *Client) RefreshQuotas(ctx context.Context) error {
	return c.settings.Budget.Refresh(ctx, c.GitHubNow())
}

// observeDate sets the skew by a response's Date header. A date that is years away comes from a proxy without a clock.
func (c *Client) observeDate(header http.Header) {
	date, err := http.ParseTime(header.Get("Date"))
	if skew := date.Sub(c.settings.Now()); err == nil && skew.Abs() < maxSkew {
		c.skew.Store(int64(skew.Truncate(time.Second)))
		c.isClockSynced.Store(true)
	}
}
