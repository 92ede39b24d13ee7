// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/url"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/backfill"
	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
	"github.com/seed-358c4d9d/githubexporter/internal/proctest"
	"github.com/seed-358c4d9d/githubexporter/internal/rabbittest"
	"github.com/seed-358c4d9d/githubexporter/internal/redistest"
)

// backfillConfig has short delays, and a token for each replica that identifies its requests.
const backfillConfig = `
orgs:
  - name: %[1]s
    auth: {token: %[2]s}
    scrape_interval: %[3]s
    lookback: %[4]s
github: {endpoint: %[5]q, timeout: 3s, retry: {max_attempts: 2, initial_interval: 100ms, max_interval: 1s},
      health: {probe_interval: 1s, cooldown: 3s, recover_threshold: 1}%[9]s}
retention: 1440h
emit_interval: 1s
rabbitmq: {endpoint: %[6]q, auth: {plain: {username: guest, password: guest}}%[7]s}
backfill: {requeue_delays: [1s, 3s, 10s], sweep_interval: %[10]s, max_enqueues_per_org_per_minute: 10000%[8]s}
`

// system is several collectors with one Redis and one RabbitMQ, and the GitHub that they read.
type system struct {
	data     *githubtest.Dataset
	server   *githubtest.Server
	redis    *redistest.Server
	rabbit   *rabbittest.Server
	replicas []*replica
	tokens   []string // of each replica
	plan     systemSettings
}

// systemSettings are the settings of a system.
type systemSettings struct {
	data                     *githubtest.Dataset
	timeline                 githubtest.Timeline
	replicas                 int
	interval                 time.Duration
	lookback                 time.Duration
	rabbit, backfill, github string   // more settings
	sweep                    string   // the sweep interval, which is also the timeout of a claim; 5s when empty
	redis                    []string // more lines of its configuration
	oneToken                 bool     // for all replicas
	log                      string   // its level, info when empty

	adapt func(receiver string) string // changes the settings of the receivers
}

// startSystem starts a system with its replicas.
func startSystem(t *testing.T, p systemSettings) *system {
	t.Helper()
	s := prepareSystem(t, p)
	s.run(t)
	return s
}

// prepareSystem starts everything but the collectors, which run starts.
func prepareSystem(t *testing.T, p systemSettings) *system {
	t.Helper()
	s := &system{data: p.data, plan: p, redis: redistest.Start(t, p.redis...), rabbit: rabbittest.Start(t)}
	s.server = githubtest.Start(
		t,
		githubtest.Settings{Datasets: []*githubtest.Dataset{p.data}, Timeline: p.timeline, Limits: highLimits},
	)
	for n := range p.replicas {
		token := fmt.Sprintf("token-of-replica-%d", n)
		if p.oneToken {
			token = "token-of-all"
		}
		s.tokens = append(s.tokens, token)
		s.server.AddCredential(githubtest.Credential{Token: token, Name: fmt.Sprintf("replica-%d", n), Bucket: token})
	}
	return s
}

// run starts the replicas.
func (s *system) run(t *testing.T) {
	t.Helper()
	for _, token := range s.tokens {
		redis := startProxy(t, s.redis.Address)
		block := fmt.Sprintf("{endpoints: [%q]}", redis.Listen)
		receiver := fmt.Sprintf(backfillConfig, org, token, s.plan.interval, s.plan.lookback,
			s.server.URL, s.rabbit.URL(), s.plan.rabbit, s.plan.backfill, s.plan.github,
			cmp.Or(s.plan.sweep, "5s"))
		if s.plan.adapt != nil {
			receiver = s.plan.adapt(receiver)
		}
		r := startReplicaLogging(t, cmp.Or(s.plan.log, "info"), "redis: "+block, block, receiver)
		r.redis = redis
		s.replicas = append(s.replicas, r)
	}
}

// newActiveOrg returns an organization in which every repository has an event of every kind at an interval, over a
// span.
func newActiveOrg(repositories int, span, every time.Duration) *githubtest.Dataset {
	end := time.Date(2026, 3, 11, 12, 0, 0, 0, time.UTC)
	d := &githubtest.Dataset{Org: githubtest.Org{Login: org, From: end.Add(-span), Until: end}}
	for i := range repositories {
		addActivityOverSpan(d, fmt.Sprintf("repo-%02d", i), i, span, every)
	}
	return d
}

// addActivityOverSpan adds an event of every kind to a repository at an interval, over a span.
func addActivityOverSpan(d *githubtest.Dataset, repo string, i int, span, every time.Duration) {
	end := d.Org.Until
	d.Repos = append(d.Repos, githubtest.Repo{Name: repo, DefaultBranch: "main", CreatedAt: end.Add(-2 * span)})
	user := new(fmt.Sprintf("user-%d", i%5))
	for n := int64(0); ; n++ {
		at := end.Add(-span).Add(time.Duration(n) * every).Add(time.Duration(i) * every / 100)
		if at.After(end) {
			return
		}
		id := int64(i)*1_000_000 + n
		addCommit(d, repo, id, user, at)
		number := int(n) + 1
		d.Pulls = append(
			d.Pulls,
			githubtest.Pull{Repo: repo, Number: number, Login: user, CreatedAt: at, MergedAt: &at, ClosedAt: &at},
		)
		d.Reviews = append(
			d.Reviews,
			githubtest.Review{Repo: repo, Pull: number, ID: id, Login: user, SubmittedAt: &at, State: "APPROVED"},
		)
		d.Comments = append(
			d.Comments,
			githubtest.Comment{Repo: repo, Issue: number, ID: id, Login: user, CreatedAt: at, UpdatedAt: at},
		)
	}
}

// jobsQueue is the name of the organization's job queue.
const jobsQueue = "gh.backfill.jobs." + org

// jobAudit receives a copy of every job that is published.
type jobAudit struct {
	channel *amqp.Channel

	mu   sync.Mutex
	jobs map[string]backfill.Job // by id, as they were published first
}

// startJobAudit binds a queue of the test to the job exchange.
func startJobAudit(t *testing.T, s *rabbittest.Server) *jobAudit {
	t.Helper()
	conn, err := amqp.Dial("amqp://guest:guest@" + s.Address + "/")
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	ch, err := conn.Channel()
	require.NoError(t, err)
	a := &jobAudit{channel: ch, jobs: make(map[string]backfill.Job)}
	require.NoError(t, ch.ExchangeDeclare("gh.backfill", amqp.ExchangeDirect, true, false, false, false, nil))
	q, err := ch.QueueDeclare("", false, true, true, false, nil)
	require.NoError(t, err)
	require.NoError(t, ch.QueueBind(q.Name, jobsQueue, "gh.backfill", false, nil))
	deliveries, err := ch.Consume(q.Name, "", true, true, false, false, nil)
	require.NoError(t, err)
	go func() {
		for d := range deliveries {
			if job, err := backfill.Decode(d.Body); err == nil {
				a.record(job)
			}
		}
	}()
	return a
}

// record adds a job.
func (a *jobAudit) record(job backfill.Job) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if _, there := a.jobs[job.ID]; !there {
		a.jobs[job.ID] = job
	}
}

// publishedJobs returns the jobs that were published.
func (a *jobAudit) publishedJobs() []backfill.Job {
	a.mu.Lock()
	defer a.mu.Unlock()
	var list []backfill.Job
	for _, job := range a.jobs {
		list = append(list, job)
	}
	return list
}

// jobEnds returns when jobs ended, by id, as the replicas log it.
func (s *system) jobEnds() map[string]time.Time {
	const message = "A backfill job has ended."
	ended := make(map[string]time.Time)
	for _, r := range s.replicas {
		for line := range strings.Lines(r.Output()) {
			var entry struct {
				Time time.Time `json:"ts"`
				Msg  string    `json:"msg"`
				Job  string    `json:"job"`
			}
			if strings.Contains(line, message) && json.Unmarshal([]byte(line), &entry) == nil && entry.Msg == message {
				ended[entry.Job] = entry.Time
			}
		}
	}
	return ended
}

// overlappingJobs returns the jobs that were published while another one of the same repository and streams was not
// finished for a part of their window.
func overlappingJobs(jobs []backfill.Job, ended map[string]time.Time) []backfill.Job {
	return slices.DeleteFunc(slices.Clone(jobs), func(late backfill.Job) bool {
		return !slices.ContainsFunc(jobs, func(early backfill.Job) bool {
			end, over := ended[early.ID]
			return early.ID != late.ID && early.Repo == late.Repo && early.Streams&late.Streams != 0 &&
				early.Window.Overlaps(late.Window) &&
				!early.CreatedAt.After(late.CreatedAt) &&
				(!over || end.After(late.CreatedAt))
		})
	})
}

// awaitEmptyQueues waits until no queue has a job, and the dead-letter queue has as many as expected.
func (s *system) awaitEmptyQueues(t *testing.T, dead int) {
	t.Helper()
	eventually(t, 2*time.Minute, func() error {
		for i, r := range s.replicas {
			for queue, want := range map[string]int{jobsQueue: 0, "gh.backfill.retry": 0, "gh.backfill.dlq": dead} {
				got, err := r.value(t.Context(), fmt.Sprintf("gh_exporter_queue_depth{queue=%q}", queue))
				if err != nil || int(got) != want {
					return fmt.Errorf("replica %d shows %v jobs in %s, want %d: %w", i, got, queue, want, err)
				}
			}
		}
		return nil
	})
}

// TestBackfillFaults: for two minutes GitHub responds with errors, limits or nothing for some streams of some
// repositories, while events happen in all of them. Meanwhile no fact and no number of what is open is shown that was
// not true. When the faults end, every metric becomes correct, with about one job for each window.
func TestBackfillFaults(t *testing.T) {
	t.Parallel()
	const faulty, repositories = 2 * time.Minute, 24
	data := newActiveOrg(repositories, 10*24*time.Hour, 3*time.Hour)
	for i := range data.Repos { // and every ten seconds in the end
		addBurst(data, data.Repos[i].Name, i, 5*time.Minute, 10*time.Second)
	}
	described := describeState(data.Clone())
	timeline := githubtest.EndingAt(data, 4*time.Minute, time.Now().Add(45*time.Second), 1)
	s := startSystem(t, systemSettings{
		data: described, adapt: withState, timeline: timeline, replicas: 3, interval: 3 * time.Second,
		lookback: 480 * time.Hour, log: "debug",
		backfill: ", max_attempts: 100, coalesce_window: " + coalesceAround(time.Now().Add(5*time.Minute)).String(),
		sweep:    "30s", // jobs that wait for a busy worker are not published again within it
	})
	timeline = s.server.Timeline()
	awaitDrained(t, s.replicas)
	watch, began := watchState(t, s.replicas), time.Now()
	published := startJobAudit(t, s.rabbit)

	rnd := rand.New(rand.NewPCG(4, 2))
	effects := []githubtest.Effect{
		githubtest.Status(500),
		githubtest.Status(502),
		githubtest.Hang(),
		githubtest.SecondaryLimit(403, 2*time.Second),
	}
	s.server.InjectFault(
		githubtest.Fault{Match: githubtest.Match{Operation: "Activities"}, Effect: githubtest.Status(500)},
	) // each repository is a query of its own
	matches := []githubtest.Match{{Operation: "Activity"}, {Route: "/repos/{owner}/{repo}/issues/comments"}}
	for i, repo := range data.Repos[:repositories] {
		if i%2 == 0 {
			continue
		}
		effect := effects[min(rnd.IntN(10), 9)%3]
		if i == 1 {
			effect = effects[3]
		}
		which := rnd.IntN(3)
		for n, match := range matches {
			if which == n {
				continue
			}
			match.Repo = repo.Name
			fault := githubtest.Fault{Match: match, Effect: effect}
			if i == 1 {
				fault.Times = 5
			}
			s.server.InjectFault(fault)
			t.Logf("%s: %s for %s%s", repo.Name, effect.Kind, match.Operation, match.Route)
		}
	}
	waitUntil(t, time.Now().Add(faulty))
	s.server.ClearFaults()
	visible := time.Now()
	s.server.HideAfter(visible)
	awaitDrained(t, s.replicas)
	s.awaitEmptyQueues(t, 0)
	compareWithData(t, startPrometheus(t, s.replicas[0].metrics), data, timeline, visible)
	expected := newExpectedState(described, timeline, "graphql")
	awaitState(t, s.replicas, expected.at(visible))
	history := newStateHistory(expected)
	history.add(expected, began.Add(-time.Minute), visible)
	watch.requireTrue(t, history)
	// What fails again after its job has ended is missing again, and a job of its own.
	jobs, windows := published.publishedJobs(), make(map[activity.Window]bool)
	for _, job := range jobs {
		t.Logf(
			"%s: %s %s %s because of %s",
			job.CreatedAt.Format(time.TimeOnly),
			job.Repo,
			job.Streams,
			job.Window,
			job.Reason,
		)
		windows[job.Window] = true
	}
	require.Len(t, windows, 1, "what fails within one step of coalescing is one window")
	twice := overlappingJobs(jobs, s.jobEnds())
	t.Logf("%d jobs, %d of them for what another one was under way for", len(jobs), len(twice))
	require.NotEmpty(t, jobs)
	require.LessOrEqual(t, float64(len(twice)), 0.1*float64(len(jobs)-len(twice)))
	requireEqualPages(t, s.replicas, 2)
	for _, r := range s.replicas {
		requireNoSecret(t, r.Output())
		require.Less(t, r.Stop(), 2*time.Second)
	}
}

// coalesceAround returns a step of coalescing that has no border within five minutes of a time, so that an outage then
// is one window.
func coalesceAround(at time.Time) time.Duration {
	const near = 5 * time.Minute
	step := 15 * time.Minute
	for at.Sub(at.Truncate(step)) < near || at.Truncate(step).Add(step).Sub(at) < near {
		step += time.Minute
	}
	return step
}

// addCommit adds a commit with a number that is unique in the data.
func addCommit(d *githubtest.Dataset, repo string, id int64, user *string, at time.Time) {
	d.Commits = append(d.Commits, githubtest.Commit{
		Repo: repo, SHA: fmt.Sprintf("%040x", id+1), Login: user, AuthoredAt: at, CommittedAt: at, Additions: 3,
		Deletions: 1, Parents: 1,
	})
}

// addBurst adds frequent events in the last part of the data.
func addBurst(d *githubtest.Dataset, repo string, i int, span, every time.Duration) {
	for n := range int64(span / every) {
		at := d.Org.Until.Add(-span).Add(time.Duration(n) * every).Add(time.Duration(i%7) * time.Second)
		id := int64(i)*1_000_000 + 500_000 + n
		user := new(fmt.Sprintf("user-%d", i%5))
		addCommit(d, repo, id, user, at)
		d.Comments = append(
			d.Comments,
			githubtest.Comment{Repo: repo, Issue: 1, ID: id, Login: user, CreatedAt: at, UpdatedAt: at},
		)
		number := 10_000 + int(n)
		d.Pulls = append(d.Pulls, githubtest.Pull{Repo: repo, Number: number, Login: user, CreatedAt: at})
	}
}

// TestFollowersRead: followers read the look-back of 30 days, and the leader's passes keep their interval.
func TestFollowersRead(t *testing.T) {
	t.Parallel()
	const interval = 4 * time.Second
	data := newActiveOrg(40, 30*24*time.Hour, 2*time.Hour)
	s := prepareSystem(t, systemSettings{
		data: data, timeline: githubtest.EndingAt(data, time.Minute, time.Now(), 1),
		replicas: 3, interval: interval, lookback: 720 * time.Hour,
	})
	s.server.HideAfter(time.Now())
	s.server.InjectFault(githubtest.Fault{Effect: githubtest.SlowBody(5 * time.Millisecond)})
	s.run(t)
	leads := awaitLeader(t, s.replicas)
	eventually(t, time.Minute, func() error {
		n := s.replicas[leads].count(t.Context(), fmt.Sprintf("gh_exporter_gaps{org=%q}", org))
		if n < 40 {
			return fmt.Errorf("%v gaps", n)
		}
		return nil
	})
	s.server.ResetRequests()
	began := time.Now()
	awaitDrained(t, s.replicas)
	took := time.Since(began)
	read := make(map[string]int)
	for _, request := range s.server.Requests() {
		// The first day is the schedule's, and its pass may not be over when there are gaps.
		if since, ok := readsSince(request); ok && since.Before(began.Add(-25*time.Hour)) {
			read[request.Credential]++
		}
	}
	led := read[fmt.Sprintf("replica-%d", leads)]
	total := 0
	for _, n := range read {
		total += n
	}
	t.Logf("read in %s: %v, of which the leader %d", took, read, led)
	require.GreaterOrEqual(t, total, 200)
	require.GreaterOrEqual(t, float64(total-led), 0.9*float64(total))
	for i := range s.replicas {
		if i != leads {
			require.Positive(t, read[fmt.Sprintf("replica-%d", i)], "every follower has its share")
		}
	}
	passes := passTimes(s.replicas[leads].Output(), began)
	due := float64(time.Since(began)) / float64(interval)
	t.Logf("%d passes ended where %.1f were due", len(passes), due)
	require.GreaterOrEqual(t, float64(len(passes)), 0.9*due-1)
	compareWithData(t, startPrometheus(t, s.replicas[leads].metrics), data, s.server.Timeline(),
		s.server.Timeline().Start)
	s.awaitEmptyQueues(t, 0)
}

// readsSince returns where the window begins that a request reads, and false for a request without one.
func readsSince(request githubtest.RequestInfo) (time.Time, bool) {
	text, _ := request.Variables["since"].(string)
	if query, err := url.ParseQuery(request.Query); err == nil && text == "" {
		text = query.Get("since")
	}
	since, err := time.Parse(time.RFC3339, text)
	return since, err == nil
}

// passTimes returns when passes ended, after the one that was running at a time.
func passTimes(log string, since time.Time) []time.Time {
	var list []time.Time
	for line := range strings.Lines(log) {
		var entry struct {
			Time time.Time `json:"ts"`
			Msg  string    `json:"msg"`
		}
		if json.Unmarshal([]byte(line), &entry) == nil && entry.Time.After(since) &&
			strings.HasPrefix(entry.Msg, "Pass ended") {
			list = append(list, entry.Time)
		}
	}
	return list
}

// TestBackfillCrashes: workers are killed during jobs, the broker is killed and its data deleted, Redis is restarted,
// and every job is delivered three times. In the end there is no gap, and no event was counted twice.
func TestBackfillCrashes(t *testing.T) {
	t.Parallel()
	data := newActiveOrg(30, 30*24*time.Hour, 2*time.Hour)
	s := prepareSystem(t, systemSettings{
		data:     data,
		timeline: githubtest.EndingAt(data, time.Minute, time.Now(), 1),
		replicas: 3,
		interval: 3 * time.Second,
		lookback: 720 * time.Hour,
		redis:    []string{"appendonly yes", "appendfsync always"},
	})
	visible := time.Now()
	s.server.HideAfter(visible)
	s.server.InjectFault(githubtest.Fault{Effect: githubtest.SlowBody(40 * time.Millisecond)})
	copies := startJobAudit(t, s.rabbit)
	s.run(t)
	working := func() {
		t.Helper()
		eventually(t, time.Minute, func() error {
			if len(copies.publishedJobs()) < 30 {
				return fmt.Errorf("%d jobs", len(copies.publishedJobs()))
			}
			return nil
		})
	}
	working()
	for _, job := range copies.publishedJobs() { // twice more
		for range 2 {
			publishJob(t, copies.channel, job.Encode())
		}
	}
	leads := awaitLeader(t, s.replicas)
	for range 3 {
		waitUntil(t, time.Now().Add(1500*time.Millisecond))
		victim := s.replicas[(leads+1)%3]
		victim.Kill()
		victim.start(t)
	}
	s.rabbit.Kill()
	eventually(t, 30*time.Second, func() error { return s.replicas[leads].checkDependency(t, "amqp", 0) })
	s.replicas[leads].awaitHealth(t, expectedHealth{"leader", "unhealthy", "amqp", false}, 30*time.Second)
	s.rabbit.Run()
	for _, r := range s.replicas {
		eventually(t, time.Minute, func() error { return r.checkDependency(t, "amqp", 1) })
	}
	s.redis.Kill()
	s.redis.Run()
	s.rabbit.Wipe()
	s.rabbit.Run()
	for _, r := range s.replicas {
		eventually(t, time.Minute, func() error { return r.checkDependency(t, "amqp", 1) })
	}
	s.server.ClearFaults()
	awaitDrained(t, s.replicas)
	compareWithData(t, startPrometheus(t, s.replicas[0].metrics), data, s.server.Timeline(), visible)
	s.awaitEmptyQueues(t, 0)
	requireEqualPages(t, s.replicas, 2)
}

// publishJob publishes the body of a job to the job queue.
func publishJob(t *testing.T, ch *amqp.Channel, body []byte) {
	t.Helper()
	require.NoError(t, ch.PublishWithContext(t.Context(), "gh.backfill", jobsQueue, true, false,
		amqp.Publishing{Body: body, DeliveryMode: amqp.Persistent}))
}

// TestDeadJobs: a job that can never succeed ends in the dead-letter queue with its history, a message that is not a
// job does at once, and the others continue. An operator lists the reasons, replays the jobs when the fault has ended,
// and publishes a job that reads a window again.
func TestDeadJobs(t *testing.T) {
	t.Parallel()
	const lookback = 240 * time.Hour // one piece
	data := newActiveOrg(6, 9*24*time.Hour, 3*time.Hour)
	s := prepareSystem(t, systemSettings{
		data: data, timeline: githubtest.EndingAt(data, time.Minute, time.Now(), 1),
		replicas: 2, interval: 3 * time.Second, lookback: lookback, backfill: ", max_attempts: 3",
	})
	visible := time.Now()
	s.server.HideAfter(visible)
	comments := "/repos/{owner}/{repo}/issues/comments"
	s.server.InjectFault(
		githubtest.Fault{Match: githubtest.Match{Repo: "repo-03", Route: comments}, Effect: githubtest.Status(403)},
	)
	s.run(t)
	a := startJobAudit(t, s.rabbit)
	for _, r := range s.replicas { // until the queue is there
		eventually(t, 30*time.Second, func() error { return r.checkDependency(t, "amqp", 1) })
	}
	publishJob(t, a.channel, []byte("junk"))
	unknown := backfill.Job{
		ID: "from-elsewhere", Org: "somebody-else", Repo: "x", Streams: activity.EveryStream,
		Window: activity.Window{Start: visible.Add(-time.Hour), End: visible}, Reason: backfill.ReasonSweep, Attempt: 1,
		CreatedAt: visible.Add(-25 * time.Hour), // no other deployment has taken it
	}
	publishJob(t, a.channel, unknown.Encode())
	const dead = 3
	s.awaitEmptyQueues(t, dead)
	for i, r := range s.replicas {
		eventually(t, 30*time.Second, func() error {
			gaps, err := r.value(t.Context(), fmt.Sprintf("gh_exporter_gaps{org=%q}", org))
			if err != nil || gaps != 1 { // of comments in one repository
				return fmt.Errorf("replica %d shows %v gaps: %w", i, gaps, err)
			}
			return nil
		})
	}
	tool := func(args ...string) string {
		t.Helper()
		cmd := exec.Command(
			proctest.ProgramPath(t, "GX_CTL"),
			append([]string{"jobs", "--config", s.replicas[0].config}, args...)...)
		output, err := cmd.CombinedOutput()
		require.NoError(t, err, string(output))
		return string(output)
	}
	listed := tool("dead")
	t.Log(listed)
	for _, want := range []string{
		"invalid backfill job: not the JSON",
		"organization \"somebody-else\" is not configured", "repo-03", "attempt 3", "403",
	} {
		require.Contains(t, listed, want)
	}
	job := peekDeadJob(t, a.channel, "repo-03")
	require.Equal(t, 3, job.Attempt)

	s.server.ClearFaults()
	t.Log(tool("replay", "--org", org))
	awaitDrained(t, s.replicas)
	s.awaitEmptyQueues(t, dead-1)
	compareWith(t, startPrometheus(t, s.replicas[1].metrics), func(at time.Time) map[series]float64 {
		truth := expectedAt(data, s.server.Timeline(), visible, at)
		if ledger.LastCompleteWeek(
			at,
		).Start.Before(
			visible.Add(-lookback),
		) { // on some days ten of them do not reach over the last week
			maps.DeleteFunc(truth, func(s series, _ float64) bool { return strings.HasSuffix(s.metric, "_weekly") })
		}
		return truth
	})

	s.server.ResetRequests()
	t.Log(
		tool(
			"read",
			"--org",
			org,
			"--repo",
			"repo-01",
			"--streams",
			"comments",
			"--from",
			visible.Add(-72*time.Hour).UTC().Format(time.RFC3339),
			"--until",
			visible.UTC().Format(time.RFC3339),
		),
	)
	eventually(t, 30*time.Second, func() error {
		if n := s.server.CountRequests(
			func(r githubtest.RequestInfo) bool { return r.Repo == "repo-01" && r.Route == comments },
		); n == 0 {
			return fmt.Errorf("it is not read again: %d", n)
		}
		return nil
	})
	t.Log(tool("drop"))
	s.awaitEmptyQueues(t, 0)
	for _, r := range s.replicas {
		requireNoSecret(t, r.Output())
	}
}

// peekDeadJob returns the dead-lettered job of a repository without removing it.
func peekDeadJob(t *testing.T, ch *amqp.Channel, repo string) backfill.Job {
	t.Helper()
	var held []amqp.Delivery
	defer func() {
		for i := range held {
			require.NoError(t, held[i].Nack(false, true))
		}
	}()
	for {
		d, there, err := ch.Get("gh.backfill.dlq", false)
		require.NoError(t, err)
		require.True(t, there, "no dead job of %s", repo)
		held = append(held, d)
		if job, err := backfill.Decode(d.Body); err == nil && job.Repo == repo {
			require.Len(t, d.Headers["gx-history"], 3)
			return job
		}
	}
}

// TestRabbitMQDown: without the broker no replica is ready, unless it may continue in memory: then gaps are filled all
// the same.
func TestRabbitMQDown(t *testing.T) {
	t.Parallel()
	for _, unavailable := range []string{"wait", "memory"} {
		t.Run(unavailable, func(t *testing.T) {
			data := newActiveOrg(6, 10*24*time.Hour, 3*time.Hour)
			s := startSystem(t, systemSettings{
				data:     data,
				timeline: githubtest.EndingAt(data, time.Minute, time.Now(), 1),
				replicas: 2,
				interval: 2 * time.Second,
				lookback: 24 * time.Hour,
				rabbit:   ", unavailable: " + unavailable,
			})
			visible := time.Now()
			s.server.HideAfter(visible)
			awaitDrained(t, s.replicas)
			leads := awaitLeader(t, s.replicas)
			roles := map[string]*replica{"leader": s.replicas[leads], "follower": s.replicas[1-leads]}
			for role, r := range roles {
				r.awaitHealth(t, expectedHealth{role, "healthy", "amqp", true}, 30*time.Second)
				r.awaitHealth(t, expectedHealth{role, "healthy", "consumer", true}, 30*time.Second)
			}
			s.rabbit.Kill()
			mode := map[string]string{"wait": "unhealthy", "memory": "degraded"}[unavailable]
			for role, r := range roles {
				r.awaitHealth(t, expectedHealth{role, mode, "amqp", false}, 30*time.Second)
			}
			s.server.InjectFault(
				githubtest.Fault{Match: githubtest.Match{Repo: "repo-02"}, Effect: githubtest.Status(500)},
			)
			gaps := func() float64 {
				return s.replicas[leads].count(t.Context(), fmt.Sprintf("gh_exporter_gaps{org=%q}", org))
			}
			s.server.ShowAll()
			s.server.Update(func(d *githubtest.Dataset) {
				at := s.server.Timeline().ToData(time.Now().Add(-time.Second))
				d.Comments = append(
					d.Comments,
					githubtest.Comment{
						Repo:      "repo-02",
						Issue:     1,
						ID:        77_777_777,
						Login:     new("user-1"),
						CreatedAt: at,
						UpdatedAt: at,
					},
				)
			})
			eventually(t, 30*time.Second, func() error {
				if gaps() == 0 {
					return errors.New("nothing is missing")
				}
				return nil
			})
			s.server.ClearFaults()
			visible = time.Now()
			s.server.HideAfter(visible)
			if unavailable == "wait" {
				s.rabbit.Run()
			}
			awaitDrained(t, s.replicas)
			if unavailable == "memory" {
				s.rabbit.Run()
			}
			for role, r := range roles {
				r.awaitHealth(t, expectedHealth{role, "healthy", "amqp", true}, time.Minute)
			}
			s.awaitEmptyQueues(t, 0)
		})
	}
}
