// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package report

// Billing is the response of GET /orgs/{org}/copilot/billing
// (https://docs.github.com/rest/copilot/copilot-user-management). Enterprises have no such endpoint.
type Billing struct {
	Seats struct {
		Total               Count `json:"total,omitzero"`
		AddedThisCycle      Count `json:"added_this_cycle,omitzero"`
		PendingCancellation Count `json:"pending_cancellation,omitzero"`
		PendingInvitation   Count `json:"pending_invitation,omitzero"`
		ActiveThisCycle     Count `json:"active_this_cycle,omitzero"`
		InactiveThisCycle   Count `json:"inactive_this_cycle,omitzero"`
	} `json:"seat_breakdown,omitzero"`
	Plan string `json:"plan_type,omitempty"`
}

// SeatPage is a page of GET /orgs/{org}/copilot/billing/seats or /enterprises/{enterprise}/copilot/billing/seats. A
// user of an enterprise has a seat for each organization and team that grants it.
type SeatPage struct {
	Total Count  `json:"total_seats,omitzero"`
	Seats []Seat `json:"seats,omitempty"`
}

// Seat is a licence.
type Seat struct {
	// Assignee is nil when the account is gone.
	Assignee *Assignee `json:"assignee,omitempty"`
	// LastActivityAt is absent for a user who was never seen. It is about a day late, and needs telemetry.
	LastActivityAt     Timestamp `json:"last_activity_at,omitzero"`
	LastActivityEditor string    `json:"last_activity_editor,omitempty"`
	CreatedAt          Timestamp `json:"created_at,omitzero"`
	// PendingCancellation is the day on which the seat ends.
	PendingCancellation Day    `json:"pending_cancellation_date,omitzero"`
	Plan                string `json:"plan_type,omitempty"`
}

// Assignee is the user of a seat.
type Assignee struct {
	ID    ID     `json:"id,omitempty"`
	Login string `json:"login,omitempty"`
}

// ParseBilling decodes a response. Values that cannot be decoded are absent, and counted in Stats.
func ParseBilling(body []byte) (Billing, Stats, error) { return parseBody[Billing](body) }

// ParseSeats decodes a page of seats.
func ParseSeats(body []byte) (SeatPage, Stats, error) { return parseBody[SeatPage](body) }

func parseBody[T any](body []byte) (T, Stats, error) {
	var into T
	count, field, problem := decodeObject(body, &into, new(textCache))
	if problem != nil {
		var zero T
		problem.Row = 1
		return zero, Stats{}, problem
	}
	return into, Stats{Bytes: int64(len(body)), Rows: 1, InvalidValues: count, InvalidField: field}, nil
}
