// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubexporter

import (
	"maps"
	"slices"
	"strings"

	"go.opentelemetry.io/collector/component"

	"github.com/seed-358c4d9d/githubexporter/internal/health"
)

// addToPages makes the extensions with a page for people show the organizations. The result removes them.
func (r *githubReceiver) addToPages(host component.Host) (remove func()) {
	name := component.KindReceiver.String() + ":" + r.settings.ID.String()
	var removers []func()
	for _, extension := range host.GetExtensions() {
		if page, ok := extension.(health.DetailPage); ok {
			removers = append(removers, page.AddDetails(name, r.orgDetails))
		}
	}
	return func() {
		for _, f := range removers {
			f()
		}
	}
}

// orgDetails returns the organizations as they are now, sorted by name.
func (r *githubReceiver) orgDetails() []health.OrgDetail {
	var details []health.OrgDetail
	for _, org := range r.orgs {
		detail := health.OrgDetail{Name: org.name, Role: health.Follower}
		if r.monitor.Leads(org.name) {
			detail.Role = health.Leader
		}
		detail.CoveredUntil, detail.Gaps = org.view.Uncovered()
		lastRun, took, _ := org.state.lastPass()
		detail.LastPass, detail.LastPassSeconds = lastRun.UTC(), took.Seconds()
		if lastRun.IsZero() {
			detail.LastPass = lastRun
		}
		quotas := org.client.Quotas()
		for _, resource := range slices.Sorted(maps.Keys(quotas)) {
			q := quotas[resource]
			detail.Quotas = append(detail.Quotas, health.QuotaDetail{
				Resource: string(resource), Remaining: q.Remaining, Limit: q.Limit, Reset: q.Reset.UTC(),
			})
		}
		details = append(details, detail)
	}
	slices.SortFunc(details, func(a, b health.OrgDetail) int { return strings.Compare(a.Name, b.Name) })
	return details
}
