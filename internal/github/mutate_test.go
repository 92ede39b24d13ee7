// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package github_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/github"
	"github.com/seed-358c4d9d/githubexporter/internal/github/budget"
	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest"
	"github.com/seed-358c4d9d/githubexporter/internal/github/transport"
)

// mutator answers in place of a server, without a network, and changes the body of one answer.
type mutator struct {
	server *githubtest.Server

	mu     sync.Mutex
	counts map[string]int
	bodies map[string][]byte // the valid responses by request
	strike string            // the question whose answer is changed
	change func(body []byte) []byte
}

func (m *mutator) RoundTrip(r *http.Request) (*http.Response, error) {
	name := questionOf(r)
	recorder := httptest.NewRecorder()
	m.server.ServeHTTP(recorder, r)
	response := recorder.Result()
	body := recorder.Body.Bytes()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.counts[name]++
	question := fmt.Sprintf("%s #%d", name, m.counts[name])
	m.bodies[question] = body
	if question == m.strike && m.change != nil {
		body = m.change(body)
	}
	response.Body, response.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	return response, nil
}

// arm restarts the counting and changes the response to a request.
func (m *mutator) arm(question string, change func([]byte) []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.counts, m.bodies = make(map[string]int), make(map[string][]byte)
	m.strike, m.change = question, change
}

// questionOf is the name of a query or the path of a listing.
func questionOf(r *http.Request) string {
	if r.Method != http.MethodPost {
		return r.URL.Path
	}
	body, _ := io.ReadAll(r.Body)
	r.Body = io.NopCloser(bytes.NewReader(body))
	var query struct {
		Name string `json:"operationName"`
	}
	_ = json.Unmarshal(body, &query)
	return query.Name
}

// result is what came of a discovery or a reading.
type result struct {
	repos  map[int64]activity.Repository
	events [activity.NumStreams]map[activity.Key]activity.Event
	failed map[activity.Stream]error
	err    error
}

// work is something that asks questions.
type work struct {
	api  github.API
	data *githubtest.Dataset
	do   func(t *testing.T, client *github.Client) result
	// seen is the head that was read before.
	seen string
	// before faults the server.
	before func(*githubtest.Server)
}

func discovering(t *testing.T, client *github.Client) result {
	t.Helper()
	r := result{repos: make(map[int64]activity.Repository)}
	r.err = client.Discover(t.Context(), org, func(page []activity.Repository) error {
		for _, repo := range page {
			r.repos[repo.ID] = repo
		}
		return nil
	})
	return r
}

func readingAll(repo activity.Repository, seenHead string) func(*testing.T, *github.Client) result {
	request := everything(repo)
	request.ReadHead = seenHead
	return func(t *testing.T, client *github.Client) result {
		t.Helper()
		var r result
		for i := range r.events {
			r.events[i] = make(map[activity.Key]activity.Event)
		}
		r.failed = client.Read(t.Context(), request, func(events []activity.Event) error {
			for _, e := range events {
				require.NoError(t, e.Validate())
				r.events[e.Kind.Stream()][e.Key()] = e
			}
			return nil
		}).Failed
		return r
	}
}

// rich is a repository whose reading asks every question, further pages among them.
func rich(reviews, comments int) *githubtest.Dataset {
	data := dataset("one", "two")
	for n := range 3 {
		commit(data, "one", ago(time.Duration(n+1)*time.Hour))
	}
	commit(data, "one", ago(time.Minute)).Parents = 2
	merged := ago(30 * time.Minute)
	for n := range 2 {
		p := pull(data, n+1, ago(time.Duration(n+1)*time.Hour))
		p.MergedAt, p.ClosedAt = &merged, &merged
		review(data, n+1, ago(20*time.Minute))
		if reviews > 0 {
			continue // the changes are in the smaller data
		}
		p.Draft, p.ReadyAt, p.Additions = true, []time.Time{ago(50 * time.Minute)}, 20
		p.Closings, p.ReopenedAt = []time.Time{ago(45 * time.Minute)}, []time.Time{ago(40 * time.Minute)}
		review(data, n+1, ago(35*time.Minute)).DismissedAt = new(ago(34 * time.Minute))
	}
	for range reviews {
		review(data, 1, ago(time.Minute))
	}
	for n := range comments {
		comment(data, 1, ago(time.Duration(n)*time.Minute))
	}
	release(data, 1, ago(time.Hour))
	release(data, 2, ago(2*time.Hour)).Prerelease = true
	return data
}

// documented are the values that are null in valid responses, and what is then what it says: no account, not merged,
// not submitted, never pushed to, no branch, a draft, no release.
var documented = regexp.MustCompile(
	`\.(author|user|mergedAt|merged_at|submittedAt|submitted_at|closedAt|closed_at|review|pushedAt|pushed_at|defaultBranchRef|databaseId|name|email|` +
		`publishedAt|published_at|latestRelease)$`)

// numbers tell questions of one kind apart, but for the places of their occurrence.
var numbers = regexp.MustCompile(`/[0-9a-f]{40}|/[0-9]+`)

// works ask every question.
func works() map[string]work {
	failingLines := func(s *githubtest.Server) {
		s.InjectFault(githubtest.Fault{
			Match: githubtest.Match{Operation: "Activity"},
			Effect: githubtest.FieldError("byId.defaultBranchRef.target.history.nodes.1.additions", "INTERNAL",
				"Something broke."),
		})
	}
	all := map[string]work{}
	for _, api := range []github.API{github.APIGraphQL, github.APIREST} {
		all[string(api)+" discovery"] = work{api: api, data: rich(0, 0), do: discovering}
		all[string(api)+" going on"] = work{api: api, data: rich(0, 0), seen: sha(2)}
		all[string(api)+" reading"] = work{api: api, data: rich(101, 101)}
	}
	all["graphql lines"] = work{api: github.APIGraphQL, data: rich(0, 0), before: failingLines}
	return all
}

// TestNoAnswerIsTakenForAnother: whatever is null, missing or of another form in an answer, what comes of it is the
// truth or an error of its own; and with the next valid response everything is the truth.
func TestNoAnswerIsTakenForAnother(t *testing.T) {
	t.Parallel()
	for name, w := range works() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			mutate(t, w)
		})
	}
}

// harness is a work with the server that answers it and what it finds there.
type harness struct {
	*mutator

	work    work
	truth   result
	invalid atomic.Int64
}

// newHarness does the work once with a valid server.
func newHarness(t *testing.T, w work) *harness {
	t.Helper()
	server := githubtest.NewServer(githubtest.Settings{
		Datasets: []*githubtest.Dataset{w.data}, Now: func() time.Time { return noon },
		Limits: githubtest.Limits{Core: 1e9, GraphQL: 1e9},
	})
	t.Cleanup(server.Close)
	h := &harness{mutator: &mutator{server: server}, work: w}
	h.arm("", nil)
	if w.do == nil {
		for _, repo := range discovering(t, h.client(t)).repos {
			if repo.Name == "one" {
				h.work.do = readingAll(repo, w.seen)
			}
		}
	}
	if w.before != nil {
		w.before(server)
	}
	h.arm("", nil)
	h.truth = h.work.do(t, h.client(t))
	require.NoError(t, h.truth.err)
	require.Empty(t, h.truth.failed)
	return h
}

func (h *harness) client(t *testing.T) *github.Client {
	t.Helper()
	requests, err := transport.New(transport.Settings{
		HTTP: &http.Client{Transport: h}, Endpoint: "https://api.github.example",
		Now:        func() time.Time { return noon },
		Credential: transport.TokenCredential(githubtest.DefaultToken),
		RateLimit:  budget.Policy{MaxConcurrentRequests: 8},
		OnInvalidValue: func(err error) {
			h.invalid.Add(1)
			if !activity.IsPrintable(err.Error()) || len(err.Error()) > 600 {
				t.Errorf("%d bytes: %.600q", len(err.Error()), err.Error())
			}
		},
	})
	require.NoError(t, err)
	c := github.New(requests, github.Settings{API: h.work.api})
	return c
}

// distinct are the valid responses, the shortest one of each kind of request, in which each row decides, and of GraphQL
// the longest one, which says that there is another page. REST says that in a header.
func (h *harness) distinct() map[string][]byte {
	shortest, longest := make(map[string]string), make(map[string]string)
	for _, question := range slices.Sorted(maps.Keys(h.bodies)) {
		alike, size := numbers.ReplaceAllString(question, "*"), len(h.bodies[question])
		if first, ok := shortest[alike]; !ok || size < len(h.bodies[first]) {
			shortest[alike] = question
		}
		if first, ok := longest[alike]; !ok || size > len(h.bodies[first]) {
			longest[alike] = question
		}
	}
	all := make(map[string][]byte)
	for alike := range shortest {
		all[shortest[alike]] = h.bodies[shortest[alike]]
		if h.work.api == github.APIGraphQL {
			all[longest[alike]] = h.bodies[longest[alike]]
		}
	}
	return all
}

// healed says what is wrong with the same work with the valid server.
func (h *harness) healed(t *testing.T, c *github.Client) string {
	t.Helper()
	h.arm("", nil)
	got := h.work.do(t, c)
	if got.err != nil || len(got.failed) > 0 {
		return fmt.Sprintf("afterwards %v %v", got.err, got.failed)
	}
	return wrongIn("", &h.truth, got)
}

func mutate(t *testing.T, w work) {
	t.Helper()
	h := newHarness(t, w)
	var wrong []string
	questions, cases := h.distinct(), 0
	for question, body := range questions {
		for path, change := range mutations(t, body, w.api == github.APIREST) {
			cases++
			h.arm(question, change)
			c := h.client(t)
			before := h.invalid.Load()
			got := h.work.do(t, c)
			text := wrongIn(question+path, &h.truth, got)
			if strings.HasSuffix(path, " = another form") && h.invalid.Load() > before && isPartOf(&got, &h.truth) {
				text = "" // a row was left out, and counted
			}
			if text += h.healed(t, c); text != "" {
				wrong = append(wrong, question+path+": "+text)
			}
		}
	}
	t.Logf("%d changes to the answers of %d questions", cases, len(questions))
	slices.Sort(wrong)
	require.Empty(t, strings.Join(wrong, "\n"))
}

// isPartOf reports whether a result has nothing that the truth has not, but for lines and signals that are not known.
func isPartOf(got, truth *result) bool {
	for id, repo := range got.repos {
		if known, ok := truth.repos[id]; !ok || known.Name != repo.Name ||
			repo.Signals.Streams&^known.Signals.Streams != 0 {
			return false
		}
	}
	for s := range got.events {
		for key, e := range got.events[s] {
			known, ok := truth.events[s][key]
			if e.Measures == (activity.Measures{}) {
				known.Measures = activity.Measures{}
			}
			if !ok || e != known {
				return false
			}
		}
	}
	return true
}

// wrongIn says what is neither the truth nor an error of its own.
func wrongIn(what string, truth *result, got result) string {
	path, kind, _ := strings.Cut(what, " = ")
	if documented.MatchString(path) && kind != "another form" {
		return ""
	}
	for _, err := range append(slices.Collect(maps.Values(got.failed)), got.err) {
		if err != nil && (!is[*transport.UnavailableError](err) || len(err.Error()) > 600) {
			return fmt.Sprintf("%T: %v", err, err)
		}
	}
	if got.err == nil && !maps.EqualFunc(truth.repos, got.repos, noMoreKnown) {
		return "other repositories"
	}
	for _, s := range activity.AllStreams() {
		if got.failed[s] == nil && !maps.Equal(truth.events[s], got.events[s]) {
			return "other " + s.String()
		}
	}
	return ""
}

// noMoreKnown reports whether two repositories are the same, but for signals that are unknown: those streams are read
// whether they moved or not.
func noMoreKnown(truth, got activity.Repository) bool {
	known := got.Signals.Streams
	if !known.Has(activity.StreamPulls) {
		truth.Signals.Pulls, got.Signals.Pulls = activity.LatestUpdate{}, activity.LatestUpdate{}
	}
	if !known.Has(activity.StreamComments) || !known.Has(activity.StreamIssues) {
		truth.Signals.Issues, got.Signals.Issues = activity.LatestUpdate{}, activity.LatestUpdate{}
	}
	if !known.Has(activity.StreamReleases) {
		truth.Signals.Releases, got.Signals.Releases = activity.ReleaseSignal{}, activity.ReleaseSignal{}
	}
	if got.Signals.Branch == "" { // another one than before: its commits are read
		truth.Signals.Branch = ""
	}
	truth.Signals.Streams &= known
	forgetUnknownFacts(&truth.Facts, &got.Facts)
	return reflect.DeepEqual(truth, got)
}

// forgetUnknownFacts makes those facts unknown that another one has as unknown: they are shown as absent.
func forgetUnknownFacts(truth, got *activity.RepoFacts) {
	for _, n := range [][2]*activity.Number{
		{&truth.Stars, &got.Stars}, {&truth.Forks, &got.Forks}, {&truth.Size, &got.Size},
	} {
		if !n[1].IsKnown {
			*n[0] = activity.Number{}
		}
	}
	if !got.TemplateKnown {
		truth.Template, truth.TemplateKnown = false, false
	}
	if got.CreatedAt.IsZero() {
		truth.CreatedAt = time.Time{}
	}
	if got.Language == "" || truth.Language == "" { // null and a text are both answers
		truth.Language = got.Language
	}
	if !got.Size.IsKnown && !got.Empty { // with REST alone the size shows whether a repository is empty
		truth.Empty, truth.DefaultBranch = false, got.DefaultBranch
	}
}

// mutations are the changes to be made to a JSON text: each value, one of each kind of place, null, of another form or,
// of an API that leaves out values, missing.
func mutations(t *testing.T, body []byte, omits bool) map[string]func([]byte) []byte {
	t.Helper()
	var honest any
	require.NoError(t, json.Unmarshal(body, &honest))
	found := make(map[string]func([]byte) []byte)
	visitJSON(honest, nil, func(path []any, value any) {
		if name, _ := lastNode(path).(string); strings.HasSuffix(name, "url") {
			return // no address of an answer is ever used
		}
		for name, other := range map[string]any{
			"null": nil, "missing": absent{},
			"another form": formOtherThan(value),
		} {
			if _, last := lastNode(path).(int); name == "missing" && (last || !omits) {
				continue // a list with less in it is another valid one
			}
			found[shapeOf(path)+" = "+name] = func(body []byte) []byte { return replaced(body, path, other) }
		}
	})
	return found
}

type absent struct{}

func formOtherThan(value any) any {
	switch value.(type) {
	case string:
		return map[string]any{"x": 1}
	case []any:
		return map[string]any{"x": "y"}
	default:
		return "text"
	}
}

func visitJSON(value any, path []any, visit func(path []any, value any)) {
	if len(path) > 0 {
		visit(slices.Clone(path), value)
	}
	switch value := value.(type) {
	case map[string]any:
		for key, below := range value {
			visitJSON(below, append(path, key), visit)
		}
	case []any:
		for i, below := range value {
			visitJSON(below, append(path, i), visit)
		}
	}
}

func lastNode(path []any) any { return path[len(path)-1] }

// shapeOf is a path with * for the places in lists, so that one of them stands for all.
func shapeOf(path []any) string {
	var text strings.Builder
	for _, element := range path {
		if _, place := element.(int); place {
			element = "*"
		}
		fmt.Fprintf(&text, ".%v", element)
	}
	return text.String()
}

// replaced is a JSON text with another value at a path, as far as the path is there.
func replaced(body []byte, path []any, value any) []byte {
	var all any
	if err := json.Unmarshal(body, &all); err != nil {
		return body
	}
	at := all
	for _, element := range path[:len(path)-1] {
		at = below(at, element)
	}
	switch last := lastNode(path).(type) {
	case string:
		object, ok := at.(map[string]any)
		if !ok {
			return body
		}
		object[last] = value
		if value == (absent{}) {
			delete(object, last)
		}
	case int:
		if list, ok := at.([]any); ok && last < len(list) {
			list[last] = value
		}
	}
	changed, _ := json.Marshal(all)
	return changed
}

func below(value, element any) any {
	switch value := value.(type) {
	case map[string]any:
		return value[element.(string)]
	case []any:
		if i := element.(int); i < len(value) {
			return value[i]
		}
	}
	return nil
}
