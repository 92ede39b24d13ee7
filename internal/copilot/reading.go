// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package copilot

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/url"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/copilot/download"
	"github.com/seed-358c4d9d/githubexporter/internal/copilot/report"
	"github.com/seed-358c4d9d/githubexporter/internal/copilot/usage"
)

// reading is the reading of one target.
type reading struct {
	source *Source
	target Target
	before Progress
	result Result

	span      report.Span
	createdAt time.Time
	documents []Document
	parts     int
}

// stateError is a response without a report.
type stateError struct {
	state   report.State
	message string
}

func (e *stateError) Error() string {
	if e.message == "" {
		return "no report: " + e.state.String()
	}
	return "no report: " + e.state.String() + ": " + e.message
}

// errUnchanged ends the reading of the report that was read before.
var errUnchanged = errors.New("unchanged")

// errOtherWindow is a file of which all rows are of other days than those of the report.
var errOtherWindow = errors.New("no row is of the days of the report")

// run reads the target. Its error is what conclude interprets.
func (r *reading) run(ctx context.Context) error {
	if r.target.Seats {
		return r.readSeats(ctx)
	}
	err := r.readReport(ctx)
	if download.IsExpired(err) {
		err = r.readReport(ctx) // once more, with new links
	}
	return err
}

// requestLinks requests the links of a report of this target's owner.
func (r *reading) requestLinks(ctx context.Context, of report.Type) (report.Links, error) {
	path := of.Path(r.source.settings.Owner, r.target.Day)
	response, err := r.source.settings.API.Get(ctx, of.Route(), path)
	if err != nil {
		return report.Links{}, err
	}
	links, state := report.ReadLinks(response.Status, response.Body)
	if state != report.StateReady {
		return report.Links{}, &stateError{state, report.Message(response.Body)}
	}
	if want := r.target.Day; want != 0 && links.Span != (report.Span{First: want, Last: want}) {
		return report.Links{}, &stateError{report.StateMalformed, ""} // another day than the requested one
	}
	return links, nil
}

func (r *reading) readReport(ctx context.Context) error {
	r.result.Stats, r.result.Counts = report.Stats{}, usage.Counts{}
	links, err := r.requestLinks(ctx, r.target.Type)
	if err != nil {
		return err
	}
	r.span = links.Span
	if !r.source.settings.Rules.needsFiles(r.target, &r.before, links.Span, r.source.settings.Now()) {
		return errUnchanged
	}
	settings := r.source.settings.Usage
	settings.Span = links.Span
	var samples iter.Seq[usage.Sample]
	switch r.target.Type.Content {
	case report.ContentAggregate:
		samples, err = r.readAggregates(ctx, links, settings)
	case report.ContentUsers:
		samples, err = r.readUsers(ctx, links, settings, nil)
	case report.ContentTeams:
		samples, err = r.readTeams(ctx, links, settings)
	case report.ContentRepositories:
		samples, err = r.readRepositories(ctx, links, settings)
	}
	if err != nil {
		return err
	}
	if r.result.Counts.Used == 0 && r.result.Counts.Dropped[usage.DropOutsideWindow] > 0 {
		return errOtherWindow
	}
	of := r.target.Type
	return r.prepare(Header{Scope: of.Label(), Window: of.Window.String(), Span: links.Span}, samples)
}

// prepare makes the documents of the samples.
func (r *reading) prepare(header Header, samples iter.Seq[usage.Sample]) error {
	table := r.source.table
	header.ReadAt, header.Layout = r.source.settings.Now().UTC(), r.source.layout()
	documents, err := reportDocuments(table.stemOf(r.target), header, samples, table.parts[r.target])
	r.documents, r.parts = documents, 0
	for i := range documents {
		if documents[i].Data != nil {
			r.parts++
		}
	}
	r.parts-- // the header
	return err
}

// readFiles reads the files of a report one after the other.
func (r *reading) readFiles(ctx context.Context, links report.Links, use func(io.Reader) (report.Stats, error)) error {
	for _, link := range links.URLs {
		err := r.source.settings.Files.Read(ctx, link, func(file io.Reader) error {
			stats, err := use(file)
			r.result.Stats.Add(stats)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (r *reading) readAggregates(
	ctx context.Context, links report.Links, settings usage.Settings,
) (iter.Seq[usage.Sample], error) {
	aggregates := usage.NewAggregates(settings)
	err := r.readFiles(ctx, links, func(file io.Reader) (report.Stats, error) {
		header, stats, err := report.ReadAggregates(file, r.source.settings.Limits, func(row *report.Aggregate) error {
			aggregates.Add(row)
			return nil
		})
		if header.CreatedAt.After(r.createdAt) {
			r.createdAt = header.CreatedAt.Time
		}
		return stats, err
	})
	if err == nil && r.source.settings.Rules.isUnchanged(&r.before, r.span, r.createdAt) {
		err = errUnchanged
	}
	r.result.Counts = aggregates.Counts()
	return aggregates.Samples(), err
}

func (r *reading) readUsers(
	ctx context.Context, links report.Links, settings usage.Settings, teams *usage.Teams,
) (iter.Seq[usage.Sample], error) {
	users := usage.NewUsers(settings, teams)
	err := r.readFiles(ctx, links, func(file io.Reader) (report.Stats, error) {
		return report.ReadUsers(file, r.source.settings.Limits, func(row *report.User) error {
			users.Add(row)
			return nil
		})
	})
	r.result.Counts = users.Counts()
	return users.Samples(), err
}

// readTeams joins the teams of a day with the users of this day.
func (r *reading) readTeams(
	ctx context.Context, links report.Links, settings usage.Settings,
) (iter.Seq[usage.Sample], error) {
	teams := usage.NewTeams(settings)
	err := r.readFiles(ctx, links, func(file io.Reader) (report.Stats, error) {
		return report.ReadTeams(file, r.source.settings.Limits, func(row *report.TeamMember) error {
			teams.Add(row)
			return nil
		})
	})
	if err != nil {
		return nil, err
	}
	of := r.target.Type
	of.Content = report.ContentUsers
	users, err := r.requestLinks(ctx, of)
	if err != nil {
		return nil, err
	}
	samples, err := r.readUsers(ctx, users, settings, teams)
	r.result.Counts.AddDropped(teams.Counts())
	return samples, err
}

func (r *reading) readRepositories(
	ctx context.Context, links report.Links, settings usage.Settings,
) (iter.Seq[usage.Sample], error) {
	repositories := usage.NewRepositories(settings)
	err := r.readFiles(ctx, links, func(file io.Reader) (report.Stats, error) {
		return report.ReadRepositories(file, r.source.settings.Limits, func(row *report.Repository) error {
			repositories.Add(row)
			return nil
		})
	})
	r.result.Counts = repositories.Counts()
	return repositories.Samples(), err
}

const (
	seatsPerPage = 100
	// maxSeatPages bounds the list of seats.
	maxSeatPages = 10_000
)

// readSeats reads the summary of an organization, and the list of seats. An organization without a subscription has
// neither, which is a state.
func (r *reading) readSeats(ctx context.Context) error {
	seats := usage.NewSeats()
	folder, owner := "/orgs/{org}", "/orgs/"+url.PathEscape(r.source.settings.Owner)
	if r.target.Type.Scope == report.ScopeEnterprise {
		folder, owner = "/enterprises/{enterprise}", "/enterprises/"+url.PathEscape(r.source.settings.Owner)
	} else {
		billing, err := getBody(ctx, r, folder+"/copilot/billing", owner+"/copilot/billing", report.ParseBilling)
		if err != nil {
			return err
		}
		seats.SetBilling(&billing)
	}
	for page := 1; page <= maxSeatPages; page++ {
		path := fmt.Sprintf("%s/copilot/billing/seats?per_page=%d&page=%d", owner, seatsPerPage, page)
		list, err := getBody(ctx, r, folder+"/copilot/billing/seats", path, report.ParseSeats)
		if err != nil {
			return err
		}
		seats.AddPage(&list)
		if len(list.Seats) < seatsPerPage {
			seats.SetComplete()
			break
		}
	}
	return r.prepare(Header{Scope: r.target.Type.Label()}, seats.Samples())
}

// getBody requests a path and parses the body of status 200.
func getBody[T any](
	ctx context.Context, r *reading, route, path string, parse func([]byte) (T, report.Stats, error),
) (T, error) {
	var zero T
	response, err := r.source.settings.API.Get(ctx, route, path)
	if err != nil {
		return zero, err
	}
	if response.Status != http.StatusOK {
		_, state := report.ReadLinks(response.Status, response.Body)
		return zero, &stateError{state, report.Message(response.Body)}
	}
	body, stats, err := parse(response.Body)
	r.result.Stats.Add(stats)
	return body, err
}

// conclude interprets the error of run. It returns the progress, and the time of a limit.
func (r *reading) conclude(now time.Time, err error) (Progress, time.Time) {
	interval := r.source.settings.Rules.Interval
	if err != nil {
		r.documents, r.parts = nil, 0
	}
	if err == nil {
		r.result.Outcome = OutcomeRead
		after := r.before.withReport(now, r.span, r.createdAt)
		after.Layout = r.source.layout()
		return after, time.Time{}
	}
	if errors.Is(err, errUnchanged) {
		r.result.Outcome = OutcomeUnchanged
		after := r.before.withUnchanged(now)
		if r.createdAt.Equal(r.before.CreatedAt) && !r.createdAt.IsZero() {
			after.ReadAt = now
		}
		return after, time.Time{}
	}
	r.result.Err = err
	if limit, ok := errors.AsType[*LimitError](err); ok {
		r.result.Outcome = OutcomeLimited
		return r.before.withWait(limit.RetryAt), limit.RetryAt
	}
	if state, ok := errors.AsType[*stateError](err); ok {
		r.result.State, r.result.Outcome = state.state, outcomeOf(state.state)
		if r.result.Outcome == OutcomeFailed {
			r.result.Failure = "response_" + state.state.String()
		}
		return r.before.withState(now, r.target, state.state, interval), time.Time{}
	}
	r.result.Outcome, r.result.Failure = OutcomeFailed, failureOf(err)
	return r.before.withFailure(now, r.target, r.result.Failure, interval), time.Time{}
}

func outcomeOf(state report.State) Outcome {
	switch {
	case state.IsPending():
		return OutcomePending
	case state.IsRefused():
		return OutcomeRefused
	default:
		return OutcomeFailed
	}
}

func failureOf(err error) string {
	if failure, ok := errors.AsType[*download.Error](err); ok {
		return "download_" + failure.Reason.String()
	}
	if problem, ok := errors.AsType[*report.Error](err); ok {
		return "report_" + problem.Problem.String()
	}
	if errors.Is(err, errOtherWindow) {
		return "report_window"
	}
	return "api"
}
