// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package copilottest

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// API returns the handler of the REST API. It answers the paths of Copilot and 404 to all others.
func (s *Server) API() http.Handler {
	mux := http.NewServeMux()
	for _, owner := range []string{"/orgs/{owner}", "/enterprises/{owner}"} {
		mux.HandleFunc("GET "+owner+"/copilot/metrics/reports/{endpoint}", s.serveReport)
		mux.HandleFunc("GET "+owner+"/copilot/metrics/reports/{endpoint}/latest", s.serveReport)
		mux.HandleFunc("GET "+owner+"/copilot/billing/seats", s.serveSeats)
	}
	mux.HandleFunc("GET /orgs/{owner}/copilot/billing", s.serveBilling)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.reply(w, r, Request{Endpoint: "unknown"}, stateResponses[NotFound])
	})
	return mux
}

// reply sends a response and records the request. The caller holds the lock.
func (s *Server) reply(w http.ResponseWriter, r *http.Request, request Request, with response) {
	request.Status = with.status
	s.record(r, request)
	w.Header().Set("X-Github-Request-Id", s.requestID())
	w.Header().Set("Date", s.settings.Now().UTC().Format(http.TimeFormat))
	if with.body != "" {
		contentType := "application/json; charset=utf-8"
		if with.body[0] == '<' {
			contentType = "text/html"
		}
		w.Header().Set("Content-Type", contentType)
	}
	w.WriteHeader(with.status)
	_, _ = io.WriteString(w, with.body)
}

func (s *Server) replyJSON(w http.ResponseWriter, r *http.Request, request Request, body any) {
	text, err := json.Marshal(body)
	if err != nil {
		panic(err) // a test's data
	}
	s.reply(w, r, request, response{http.StatusOK, string(text)})
}

// dataOf returns the data of a request's owner, nil for an unknown one. The caller holds the lock.
func (s *Server) dataOf(r *http.Request) (data *Dataset, isOrg bool) {
	owners := s.enterprises
	if isOrg = strings.HasPrefix(r.URL.Path, "/orgs/"); isOrg {
		owners = s.orgs
	}
	for name, candidate := range owners {
		if strings.EqualFold(name, r.PathValue("owner")) {
			return candidate, isOrg
		}
	}
	return nil, isOrg
}

// admit answers a request that a rule, a missing credential or an unknown owner ends. The caller holds the lock.
func (s *Server) admit(w http.ResponseWriter, r *http.Request, request Request) (*Dataset, *Rule, bool) {
	rule := s.ruleFor(request.Endpoint, request.Owner, request.Day)
	data, _ := s.dataOf(r)
	switch {
	case rule != nil && rule.State != "":
		s.reply(w, r, request, stateResponses[rule.State])
	case r.Header.Get("Authorization") == "":
		s.reply(w, r, request, message(http.StatusUnauthorized, "Requires authentication"))
	case data == nil:
		s.reply(w, r, request, stateResponses[NotFound])
	default:
		return data, rule, true
	}
	return nil, nil, false
}

// firstDay is the first day that GitHub has reports of.
const firstDay = "2025-10-10"

func (s *Server) serveReport(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	request := Request{Endpoint: r.PathValue("endpoint"), Owner: r.PathValue("owner"), Day: r.URL.Query().Get("day")}
	data, rule, ok := s.admit(w, r, request)
	if !ok {
		return
	}
	_, isOrg := s.dataOf(r)
	rows, isWindow, ok := data.rows(request.Endpoint, isOrg)
	if !ok || isWindow != strings.HasSuffix(r.URL.Path, "/latest") {
		s.reply(w, r, request, stateResponses[NotFound])
		return
	}
	first, last := s.window()
	if !isWindow {
		if with := s.checkDay(request.Day, isOrg); with.status != http.StatusOK {
			s.reply(w, r, request, with)
			return
		}
		first, last = request.Day, request.Day
	}
	content := reportContent{
		rows: between(rows, first, last), first: first, last: last, createdAt: s.createdAt, isWindow: isWindow,
	}
	switch request.Endpoint {
	case "organization-28-day", "organization-1-day", "enterprise-28-day", "enterprise-1-day":
		content.isAggregate = true
	case "users-28-day":
		content.large = data.Large
	}
	body := Row{"download_links": s.addFiles(request, content, rule)}
	if isWindow {
		body["report_start_day"], body["report_end_day"] = first, last
	} else {
		body["report_day"] = request.Day
	}
	s.replyJSON(w, r, request, body)
}

// rows returns the rows that an endpoint's reports are made of, and whether the endpoint is one of 28 days.
func (d *Dataset) rows(endpoint string, isOrg bool) (rows []Row, isWindow, ok bool) {
	own := "enterprise"
	if isOrg {
		own = "organization"
	}
	switch endpoint {
	case own + "-28-day":
		return d.Aggregates, true, true
	case own + "-1-day":
		return d.Aggregates, false, true
	case "users-28-day":
		return d.Users, true, true
	case "users-1-day":
		return d.Users, false, true
	case "user-teams-1-day":
		return d.Teams, false, true
	case "repos-1-day":
		return d.Repositories, false, true
	default:
		return nil, false, false
	}
}

// window returns the first and the last day of the reports of 28 days.
func (s *Server) window() (first, last string) {
	end := s.settings.Now().UTC().AddDate(0, 0, -1-s.settings.Delay)
	first = max(end.AddDate(0, 0, -27).Format(time.DateOnly), firstDay)
	return first, end.Format(time.DateOnly)
}

// checkDay returns status 200 for a day with a report.
func (s *Server) checkDay(day string, isOrg bool) response {
	now := s.settings.Now().UTC()
	if _, err := time.Parse(time.DateOnly, day); err != nil || day >= now.Format(time.DateOnly) ||
		day < now.AddDate(-1, 0, 0).Format(time.DateOnly) {
		return stateResponses[DayRefused]
	}
	if day < firstDay || day > s.newest() {
		if isOrg {
			return stateResponses[NoContent]
		}
		return stateResponses[NotFound]
	}
	return response{status: http.StatusOK}
}

// between returns the rows of days, inclusive.
func between(rows []Row, first, last string) []Row {
	return slices.DeleteFunc(slices.Clone(rows), func(row Row) bool {
		day, _ := row["day"].(string)
		return day < first || day > last
	})
}

func (s *Server) serveBilling(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	request := Request{Endpoint: "billing", Owner: r.PathValue("owner")}
	data, _, ok := s.admit(w, r, request)
	switch {
	case !ok:
	case data.Billing == nil:
		s.reply(w, r, request, stateResponses[NotFound])
	default:
		s.replyJSON(w, r, request, data.Billing)
	}
}

func (s *Server) serveSeats(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	request := Request{Endpoint: "billing/seats", Owner: r.PathValue("owner")}
	data, _, ok := s.admit(w, r, request)
	if !ok {
		return
	}
	size, page := min(100, numberOf(r.URL.Query(), "per_page", 50)), numberOf(r.URL.Query(), "page", 1)
	start, end := min(len(data.Seats), (page-1)*size), min(len(data.Seats), page*size)
	if end < len(data.Seats) {
		next := fmt.Sprintf("http://%s%s?per_page=%d&page=%d", r.Host, r.URL.Path, size, page+1)
		w.Header().Set("Link", "<"+next+`>; rel="next"`)
	}
	seats := data.Seats[start:end]
	if seats == nil {
		seats = []Row{}
	}
	s.replyJSON(w, r, request, Row{"total_seats": len(data.Seats), "seats": seats})
}

func numberOf(query url.Values, name string, otherwise int) int {
	number, err := strconv.Atoi(query.Get(name))
	if err != nil || number < 1 {
		return otherwise
	}
	return number
}
