// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package replicahealth

import (
	_ "embed"
	"html/template"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/health"
)

// orgDetails has the functions that return the organizations of components, by component. It is safe for concurrent
// use.
type orgDetails struct {
	mu     sync.Mutex
	nextID int
	byID   map[int]componentOrgs
}

// componentOrgs is a component, and the function that returns its organizations.
type componentOrgs struct {
	component string
	orgs      func() []health.OrgDetail
}

var _ health.DetailPage = (*server)(nil)

// AddDetails implements health.DetailPage.
func (s *server) AddDetails(component string, orgs func() []health.OrgDetail) (remove func()) {
	d := &s.details
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.byID == nil {
		d.byID = make(map[int]componentOrgs)
	}
	id := d.nextID
	d.nextID++
	d.byID[id] = componentOrgs{component, orgs}
	return func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		delete(d.byID, id)
	}
}

// read returns the organizations as they are now, by component. A component that was removed is not called: it waits
// for a call that runs.
func (d *orgDetails) read() map[string][]health.OrgDetail {
	d.mu.Lock()
	defer d.mu.Unlock()
	read := make(map[string][]health.OrgDetail)
	for _, c := range d.byID {
		read[c.component] = append(read[c.component], c.orgs()...)
	}
	return read
}

// overview is what / shows: the body of /healthz, and the organizations by component.
type overview struct {
	detail

	Details map[string][]health.OrgDetail `json:"details,omitempty"`
}

// serveOverview serves /, as a page for people or as JSON.
func (s *server) serveOverview(w http.ResponseWriter, r *http.Request) {
	o := overview{detail: s.state.detail(), Details: s.details.read()}
	w.Header().Set("Vary", "Accept")
	if !prefersHTML(r.Header.Values("Accept")) {
		writeJSON(w, o.Mode != health.Unhealthy, o)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	if o.Mode == health.Unhealthy {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	_ = pageTemplate.Execute(w, pageData{overview: o, Now: time.Now().UTC()}) // the client may have gone
}

// prefersHTML reports whether Accept headers prefer HTML to JSON
// (https://www.rfc-editor.org/rfc/rfc9110#field.accept). A client that accepts both alike gets JSON.
func prefersHTML(accept []string) bool {
	return quality(accept, "text/html") > quality(accept, "application/json")
}

// quality returns the weight that Accept headers give a type: that of the most specific range.
func quality(accept []string, of string) float64 {
	kind, _, _ := strings.Cut(of, "/")
	weights := map[string]float64{}
	for part := range strings.SplitSeq(strings.Join(accept, ","), ",") {
		name, parameters, _ := strings.Cut(part, ";")
		weight := 1.0
		for parameter := range strings.SplitSeq(parameters, ";") {
			if text, ok := strings.CutPrefix(strings.TrimSpace(parameter), "q="); ok {
				q, err := strconv.ParseFloat(text, 64)
				if err != nil {
					q = 0
				}
				weight = q
			}
		}
		weights[strings.ToLower(strings.TrimSpace(name))] = weight
	}
	for _, name := range []string{of, kind + "/*", "*/*"} {
		if weight, ok := weights[name]; ok {
			return weight
		}
	}
	return 0
}

// pageData is what the template gets.
type pageData struct {
	overview

	Now time.Time
}

// Lag returns how long something of an organization has not been read.
func (p pageData) Lag(of time.Time) string {
	if of.IsZero() {
		return "never read"
	}
	return max(0, p.Now.Sub(of)).Round(time.Second).String()
}

//go:embed page.html
var pageText string

var pageTemplate = template.Must(template.New("page").Funcs(template.FuncMap{
	"time": func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
	"seconds": func(s float64) string {
		return time.Duration(s * float64(time.Second)).Round(time.Millisecond).String()
	},
}).Parse(pageText))
