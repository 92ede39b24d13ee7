// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package usage

import (
	"iter"

	"github.com/seed-358c4d9d/githubexporter/internal/copilot/report"
)

// Seats counts the seats of an organization or enterprise. It is for one goroutine.
type Seats struct {
	billing *report.Billing
	total   report.Count
	users   map[string]bool // whether a user was ever seen, by User.Key
	isRead  bool
}

// NewSeats starts a count.
func NewSeats() *Seats { return &Seats{users: make(map[string]bool)} }

// SetBilling sets the summary of an organization.
func (s *Seats) SetBilling(billing *report.Billing) { s.billing = billing }

// AddPage adds a page of the list of seats. A user who has several seats counts once; seats whose account is gone count
// in the total alone.
func (s *Seats) AddPage(page *report.SeatPage) {
	if !page.Total.IsZero() {
		s.total = page.Total
	}
	for i := range page.Seats {
		seat := &page.Seats[i]
		if seat.Assignee == nil {
			continue
		}
		user := User{seat.Assignee.ID, report.CleanLabel(seat.Assignee.Login)}
		if user != (User{}) {
			s.users[user.Key()] = s.users[user.Key()] || !seat.LastActivityAt.IsAbsent()
		}
	}
}

// SetComplete says that all pages were added: without it there is no number of users who were never seen.
func (s *Seats) SetComplete() { s.isRead = true }

// Samples returns the numbers of seats. The summary is the first source of the total, the list the second one.
func (s *Seats) Samples() iter.Seq[Sample] {
	return func(yield func(Sample) bool) {
		counts := []struct {
			state string
			count report.Count
		}{{"total", s.total}, {"active", report.Count{}}, {"inactive", report.Count{}}, {"pending", report.Count{}}}
		if s.billing != nil {
			of := &s.billing.Seats
			if !of.Total.IsZero() {
				counts[0].count = of.Total
			}
			counts[1].count, counts[2].count = of.ActiveThisCycle, of.InactiveThisCycle
			counts[3].count = of.PendingInvitation
		}
		if s.isRead {
			counts = append(counts, struct {
				state string
				count report.Count
			}{"never_used", report.CountOf(s.neverUsed())})
		}
		for _, of := range counts {
			if !yieldCount(yield, MetricSeats, Labels{Kind: of.state}, of.count) {
				return
			}
		}
	}
}

func (s *Seats) neverUsed() int64 {
	var count int64
	for _, wasSeen := range s.users {
		if !wasSeen {
			count++
		}
	}
	return count
}
