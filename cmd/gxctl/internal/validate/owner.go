// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package validate

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/github/budget"
	"github.com/seed-358c4d9d/githubexporter/internal/github/transport"
	"github.com/seed-358c4d9d/githubexporter/receiver/githubexporter"
)

// soonExpired is the time before the end of a token from which on there is a warning.
const soonExpired = 14 * 24 * time.Hour

// owner is an organization or an enterprise, and what was found out with its credential. One goroutine uses it.
type owner struct {
	results *report
	config  *githubexporter.Config
	name    string
	client  *transport.Client

	// expires is when the credential ends; zero when no response has it.
	expires time.Time
	// scopes are those of a classic token; nil for another credential.
	scopes []string
	// installation is that of an App; isApp says that the credential is one.
	installation transport.Installation
	isApp        bool
}

// newOwner returns an owner with the client of its credential, nil with a result when there is none.
func newOwner(
	ctx context.Context, results *report, config *githubexporter.Config, auth *githubexporter.AuthConfig, name string,
) *owner {
	o := &owner{results: results, config: config, name: name}
	var err error
	o.client, err = config.NewGitHubClient(ctx, auth, name, func(a transport.Attempt) {
		if !a.CredentialExpires.IsZero() {
			o.expires = a.CredentialExpires
		}
	})
	switch {
	case errors.Is(err, githubexporter.ErrAuthenticator):
		o.add("credential", StatusSkip, fmt.Sprintf("the extension %s has it, which does not run here",
			auth.Authenticator), "start the collector, and look at its health page")
		return nil
	case err != nil:
		o.add("credential", StatusFail, oneLine(err.Error()), "correct the credential, or the settings of github")
		return nil
	}
	return o
}

// add adds a result about the owner.
func (o *owner) add(check string, status Status, reason, action string) {
	o.results.add("github "+check, o.name, status, reason, action)
}

// get requests a path of the REST API. Received is empty with an error.
func (o *owner) get(ctx context.Context, endpoint, path string, price int) (transport.Received, error) {
	var received transport.Received
	_, err := o.client.Send(ctx, &transport.Call{
		Endpoint: endpoint, Resource: budget.ResourceREST, Price: price, Path: path,
		CallOptions: transport.CallOptions{NoRefusalRetry: true},
		Decode: func(r transport.Received) (transport.BodyInfo, error) {
			received = r
			return transport.BodyInfo{Points: price}, nil
		},
	})
	if err != nil {
		return transport.Received{}, err
	}
	if text, ok := received.Header["X-Oauth-Scopes"]; ok {
		o.scopes = strings.FieldsFunc(strings.Join(text, ","), func(r rune) bool { return r == ',' || r == ' ' })
		if o.scopes == nil {
			o.scopes = []string{}
		}
	}
	return received, nil
}

// checkCredential checks that GitHub accepts the credential, when it ends, and how much of its limits is left. It
// reports whether GitHub accepts it.
func (o *owner) checkCredential(ctx context.Context) bool {
	limits, err := o.get(ctx, "/rate_limit", "rate_limit", 0)
	missing, ok := errors.AsType[*transport.NotFoundError](err)
	if ok && strings.Contains(missing.Message, "not enabled") {
		err = nil // an Enterprise Server without limits
	}
	if err == nil {
		o.installation, o.isApp, err = o.client.ReadInstallation(ctx)
	}
	if err != nil {
		reason, action := explain(err)
		o.add("credential", StatusFail, reason, action)
		return false
	}
	status, reason, action := o.describeCredential(time.Now().Add(o.client.Skew()))
	o.add("credential", status, reason, action)
	o.checkLimits(limits.Body)
	status, reason, action = clockResult(o.client.Skew(), "GitHub")
	o.add("clock", status, reason, action)
	return true
}

// describeCredential returns the kind of the credential and its end, by GitHub's clock.
func (o *owner) describeCredential(now time.Time) (status Status, reason, action string) {
	kind := "a token"
	switch {
	case o.isApp:
		which := "selected repositories"
		if o.installation.AllRepositories {
			which = "all repositories"
		}
		return StatusOK, fmt.Sprintf("GitHub accepts it: installation %d of an App, for %s; it makes tokens that are "+
			"replaced before they expire", o.installation.ID, which), ""
	case o.scopes != nil:
		kind = "a classic token"
	}
	text := "GitHub accepts it: " + kind
	switch left := o.expires.Sub(now); {
	case o.expires.IsZero():
		return StatusOK, text + " for which GitHub names no expiry", ""
	case left < soonExpired:
		return StatusWarn, fmt.Sprintf("%s that expires on %s, in %d days", text, o.expires.Format(time.DateOnly),
			int(left.Hours()/24)), "make a new one before"
	default:
		return StatusOK, text + " that expires on " + o.expires.Format(time.DateOnly), ""
	}
}

// checkLimits checks how much of the primary limits is left, by the body of /rate_limit; nothing without one.
func (o *owner) checkLimits(body []byte) {
	var limits struct {
		Resources map[string]struct{ Limit, Remaining, Reset int64 } `json:"resources"`
	}
	if len(body) == 0 || transport.DecodeJSON(body, &limits) != nil {
		o.add("limits", StatusOK, "this server has none", "")
		return
	}
	for _, name := range []string{"core", "graphql"} {
		limit, ok := limits.Resources[name]
		if !ok {
			continue
		}
		text := fmt.Sprintf("%d of %d requests an hour of %s are left", limit.Remaining, limit.Limit, name)
		if limit.Remaining <= int64(o.config.GitHub.RateLimit.MinRemaining) {
			o.add("limits", StatusWarn, fmt.Sprintf("%s, and min_remaining is %d: nothing is read until %s", text,
				o.config.GitHub.RateLimit.MinRemaining, time.Unix(limit.Reset, 0).UTC().Format(time.RFC3339)),
				"use a credential that nothing else uses, or an App, which has a limit of its own")
			continue
		}
		o.add("limits", StatusOK, text, "")
	}
}

// checkScopes checks the scopes of a classic token.
func (o *owner) checkScopes() {
	if o.scopes == nil {
		return
	}
	given := "none"
	if len(o.scopes) > 0 {
		given = strings.Join(o.scopes, ", ")
	}
	if slices.Contains(o.scopes, "repo") {
		o.add("scopes", StatusOK, "the classic token has "+given, "")
		return
	}
	o.add("scopes", StatusWarn, "the classic token has "+given+": without repo, no private repository is visible",
		"add the scope repo, or use a fine-grained token or an App, which need less")
}

// explain returns what an error of a request means, and what to do.
func explain(err error) (reason, action string) {
	reason = oneLine(err.Error())
	if forbidden, ok := errors.AsType[*transport.ForbiddenError](err); ok {
		if missing, lacks := forbidden.LacksPermission(""); lacks {
			return reason, "give the credential the permission " + readOnly(missing)
		}
		return reason + acceptedScopes(forbidden.AcceptedScopes), "look at GitHub's message: single sign-on, an IP " +
			"allow list or the organization's policy for tokens may be the cause"
	}
	if missing, ok := errors.AsType[*transport.NotFoundError](err); ok {
		return reason + acceptedScopes(missing.AcceptedScopes), "check the name, and that the credential may see it"
	}
	switch {
	case errors.As(err, new(*transport.CredentialError)):
		return reason, "make a new token, or check the App's id, key and installation"
	case errors.As(err, new(*transport.LimitError)):
		return reason, "wait until then, or use a credential that nothing else uses"
	case errors.As(err, new(*transport.UnavailableError)):
		return withoutAddress(err), "check github::endpoint, proxy_url, tls and the network"
	default:
		return reason, ""
	}
}

// withoutAddress returns the text of an error without the address of the request, which may have a password.
func withoutAddress(err error) string {
	if wrapped := (*url.Error)(nil); errors.As(err, &wrapped) {
		return "GitHub does not respond: " + oneLine(wrapped.Err.Error())
	}
	return oneLine(err.Error())
}

// acceptedScopes returns the scopes that a response names, as the end of a sentence; empty for none.
func acceptedScopes(scopes string) string {
	if scopes == "" {
		return ""
	}
	return ", a classic token needs one of " + scopes
}

// readOnly returns permissions as GitHub's pages name them.
func readOnly(permissions []string) string {
	return strings.Join(permissions, ": read, ") + ": read"
}
