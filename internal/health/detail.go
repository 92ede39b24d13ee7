// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package health

import "time"

// DetailPage is an extension that shows more of a replica than its reports, for people.
type DetailPage interface {
	// AddDetails adds a function that returns the organizations of a component as they are now, sorted by name. The
	// page calls it for each request, until remove is called.
	AddDetails(component string, orgs func() []OrgDetail) (remove func())
}

// OrgDetail is what a page shows of an organization.
type OrgDetail struct {
	Name string `json:"name"`
	Role Role   `json:"role"`
	// CoveredUntil is the oldest time from which on something has not been read; zero when nothing was ever read.
	// Gaps is the number of windows that have not been read.
	CoveredUntil time.Time `json:"covered_until,omitzero"`
	Gaps         int       `json:"gaps"`
	// LastPass is the end of the last pass of this replica; zero for none, as on a follower.
	LastPass time.Time `json:"last_pass,omitzero"`
	// LastPassSeconds is how long it took.
	LastPassSeconds float64 `json:"last_pass_seconds,omitzero"`
	// Quotas are the primary limits of the credential that are known, sorted by resource.
	Quotas []QuotaDetail `json:"quotas,omitempty"`
}

// QuotaDetail is what is left of a primary limit.
type QuotaDetail struct {
	Resource  string    `json:"resource"`
	Remaining int       `json:"remaining"`
	Limit     int       `json:"limit,omitzero"` // zero when it is unknown
	Reset     time.Time `json:"reset"`
}
