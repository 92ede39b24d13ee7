// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package transport

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"
)

// Installation is what GitHub says of the App's installation that authorizes a client.
type Installation struct {
	ID int64
	// Permissions are the granted ones, such as "contents": "read".
	Permissions map[string]string
	// AllRepositories says that the installation is for all repositories of its account, not for selected ones.
	AllRepositories bool
	Suspended       bool
}

// ReadInstallation requests the installation that authorizes the client
// (https://docs.github.com/rest/apps/apps#get-an-installation-for-the-authenticated-app). It returns false for another
// credential.
func (c *Client) ReadInstallation(ctx context.Context) (found Installation, isApp bool, err error) {
	app, isApp := c.settings.Credential.(*appCredential)
	if !isApp {
		return Installation{}, false, nil
	}
	if err := app.refreshing.Acquire(ctx, 1); err != nil {
		return Installation{}, true, err
	}
	defer app.refreshing.Release(1)
	found, err = app.readInstallation(ctx)
	return found, true, err
}

// readInstallation requests the installation. a.refreshing is held.
func (a *appCredential) readInstallation(ctx context.Context) (Installation, error) {
	id := a.installation()
	if id == 0 {
		var err error
		if id, err = a.findInstallation(ctx, true); err != nil {
			return Installation{}, a.asCredentialError(err)
		}
		a.setFoundInstallation(id)
	}
	var body struct {
		Permissions map[string]string `json:"permissions"`
		Selection   string            `json:"repository_selection"`
		SuspendedAt *time.Time        `json:"suspended_at"`
	}
	err := a.sendAsApp(ctx, true, http.MethodGet, "/app/installations/{installation_id}",
		"app/installations/"+strconv.FormatInt(id, 10), func(text []byte) error {
			if err := DecodeJSON(text, &body); err != nil {
				return err
			}
			if body.Permissions == nil {
				return errors.New("an installation without permissions")
			}
			return nil
		})
	if err != nil {
		return Installation{}, a.asCredentialError(err)
	}
	return Installation{
		ID: id, Permissions: body.Permissions, AllRepositories: body.Selection == "all",
		Suspended: body.SuspendedAt != nil,
	}, nil
}
