// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package validate

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/copilot"
	"github.com/seed-358c4d9d/githubexporter/internal/copilot/copilotapi"
	usagereport "github.com/seed-358c4d9d/githubexporter/internal/copilot/report"
)

// reportDelay is the age of the day whose report is requested: by then GitHub has made it.
const reportDelay = 3 * 24 * time.Hour

// checkCopilot requests the links of each Copilot report that is read, and the seats. It reads no report.
func (o *owner) checkCopilot(ctx context.Context, rules copilot.Rules) {
	api := copilotapi.New(copilotapi.Settings{Client: o.client, Timeout: o.config.Copilot.RequestTimeout})
	day := usagereport.DayOf(time.Now().Add(-reportDelay))
	permissions := map[usagereport.Scope]string{
		usagereport.ScopeOrganization: "organization_copilot_metrics",
		usagereport.ScopeEnterprise:   "enterprise_copilot_metrics",
	}
	for _, of := range rules.Reports {
		check := "permission " + permissions[of.Scope] + " for the report " + of.String()
		response, err := api.Get(ctx, of.Route(), of.Path(o.name, day))
		if err != nil {
			reason, action := explain(err)
			o.add(check, StatusFail, reason, action)
			continue
		}
		_, state := usagereport.ReadLinks(response.Status, response.Body)
		status, reason, action := describeState(state)
		o.add(check, status, reason, action)
	}
	if rules.Seats != nil {
		o.checkSeats(ctx, api, *rules.Seats)
	}
}

// describeState returns what the state of a report means.
func describeState(state usagereport.State) (status Status, reason, action string) {
	const page = "; docs/copilot.md has the states and permissions"
	switch {
	case state == usagereport.StateReady:
		return StatusOK, "the report can be read", ""
	case state == usagereport.StateNotFound:
		return StatusWarn, "GitHub has no such report, or the credential may not see it",
			"check the name and the permission; a new report takes a day" + page
	case state.IsPending():
		return StatusWarn, fmt.Sprintf("there is no report yet (%s)", state), "try again tomorrow" + page
	case state == usagereport.StatePolicyDisabled:
		return StatusFail, "the policy is not enabled", `switch on the policy "Copilot usage metrics"` + page
	case state == usagereport.StateRoleRequired:
		return StatusFail, "the person of the credential lacks a role", "give the person the role" + page
	case state == usagereport.StatePermissionRequired:
		return StatusFail, "the credential lacks the permission", "give it the permission" + page
	case state.IsRefused():
		return StatusFail, fmt.Sprintf("GitHub refuses it (%s)", state), "look at the credential" + page
	default:
		return StatusWarn, fmt.Sprintf("GitHub's response is no report (%s)", state), "try again" + page
	}
}

// checkSeats requests the first seat.
func (o *owner) checkSeats(ctx context.Context, api *copilotapi.API, scope usagereport.Scope) {
	route, path := "/orgs/{org}", "/orgs/"+o.name
	if scope == usagereport.ScopeEnterprise {
		route, path = "/enterprises/{enterprise}", "/enterprises/"+o.name
	}
	const check = "permission organization_copilot_seat_management for seats"
	response, err := api.Get(ctx, route+"/copilot/billing/seats", path+"/copilot/billing/seats?per_page=1")
	switch {
	case err != nil:
		reason, action := explain(err)
		o.add(check, StatusFail, reason, action)
	case response.Status == http.StatusOK:
		o.add(check, StatusOK, "the list of seats can be read", "")
	case response.Status < http.StatusBadRequest || response.Status >= http.StatusInternalServerError:
		o.add(check, StatusWarn, fmt.Sprintf("status %d: there is no list of seats now", response.Status), "try again")
	default:
		o.add(check, StatusFail, fmt.Sprintf("status %d: the list of seats cannot be read", response.Status),
			"give the credential the permission, or switch copilot::seats off; docs/copilot.md has the permissions")
	}
}
