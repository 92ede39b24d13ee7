// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package validate

import (
	"fmt"
	"slices"
	"strings"
)

// Status is the result of a check.
type Status string

// The statuses. A check is skipped when what it needs is missing: it says nothing.
const (
	StatusOK   Status = "ok"
	StatusSkip Status = "skip"
	StatusWarn Status = "warn"
	StatusFail Status = "fail"
)

// bySeverity are the statuses from the best to the worst.
var bySeverity = []Status{StatusOK, StatusSkip, StatusWarn, StatusFail}

// Result is the result of a check.
type Result struct {
	Status Status `json:"status"`
	// Check names what was checked, Subject of what: an organization, a receiver, a server.
	Check   string `json:"check"`
	Subject string `json:"subject,omitempty"`
	Reason  string `json:"reason"`
	// Action is what to do; empty when there is nothing to do.
	Action string `json:"action,omitempty"`
}

// String returns the result as one line.
func (r *Result) String() string {
	name := r.Check
	if r.Subject != "" {
		name += " (" + r.Subject + ")"
	}
	line := fmt.Sprintf("%-4s  %s: %s", r.Status, name, r.Reason)
	if r.Action != "" {
		line += "; " + r.Action
	}
	return line
}

// report collects results.
type report struct {
	results []Result
	onAdd   func(*Result) // nil for nothing
}

// add adds a result.
func (r *report) add(check, subject string, status Status, reason, action string) {
	r.results = append(r.results, Result{
		Status: status, Check: check, Subject: subject, Reason: reason, Action: action,
	})
	if r.onAdd != nil {
		r.onAdd(&r.results[len(r.results)-1])
	}
}

// worst returns the worst status; ok without results.
func (r *report) worst() Status {
	worst := StatusOK
	for i := range r.results {
		if slices.Index(bySeverity, r.results[i].Status) > slices.Index(bySeverity, worst) {
			worst = r.results[i].Status
		}
	}
	return worst
}

// document is the output of --json.
type document struct {
	Status Status   `json:"status"`
	Checks []Result `json:"checks"`
}

func (r *report) document() document { return document{Status: r.worst(), Checks: r.results} }

// oneLine returns a text without line breaks.
func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }
