// Command backfillctl shows and moves backfill jobs in RabbitMQ: it lists the dead ones with their reasons, replays them, takes
// them away, and asks for windows to be read again.
package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"go.uber.org/zap"

	"github.com/seed-358c4d9d/githubexporter/internal/backfill"
	"github.com/seed-358c4d9d/githubexporter/internal/backfill/rabbitqueue"
)

const usage = `usage: backfillctl [flags] command [flags]

commands:
  dead     list the messages in the dead-letter queue, with their reasons
  replay   publish dead jobs again, with all their attempts before them (--org, --repo, --id choose; without them: all)
  drop     take dead messages away (--org, --repo, --id choose; without them: all)
  read     ask for a window to be read again (--org, --repo, --from, --until, --streams)

flags:
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	text, err := run(ctx, os.Args[1:])
	stop()
	_, writeErr := os.Stdout.WriteString(text)
	if err = errors.Join(err, writeErr); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "backfillctl:", err)
		os.Exit(1)
	}
}

// run parses the arguments, does what they ask for and gives what there is to say.
func run(ctx context.Context, args []string) (string, error) {
	flags := flag.NewFlagSet("backfillctl", flag.ContinueOnError)
	flags.Usage = func() {
		_, _ = io.WriteString(flags.Output(), usage)
		flags.PrintDefaults()
	}
	// The default stays out of the flag: usage would show the password.
	endpoint := flags.String("endpoint", "", "amqp://user:password@host:port/vhost, by default the environment's RABBITMQ_URL")
	settings := rabbitqueue.Settings{ConnectionName: "backfillctl", Now: time.Now, Logger: zap.NewNop()}
	flags.StringVar(&settings.Exchange, "exchange", "gh.backfill", "rabbitmq::exchange of the receiver")
	flags.StringVar(&settings.Queue, "queue", "gh.backfill.jobs", "rabbitmq::queue")
	flags.StringVar(&settings.DeadQueue, "dead-letter-queue", "gh.backfill.dlq", "rabbitmq::dead_letter_queue")
	if err := flags.Parse(args); err != nil {
		return "", err
	}
	if err := setConnection(&settings, cmp.Or(*endpoint, os.Getenv("RABBITMQ_URL"))); err != nil {
		return "", err
	}
	commands := map[string]func(context.Context, rabbitqueue.Settings, []string) (string, error){
		"dead": listDead, "replay": replayDead, "drop": dropDead, "read": publishJob,
	}
	command := commands[flags.Arg(0)]
	if command == nil {
		flags.Usage()
		return "", fmt.Errorf("command %q: want one of dead, replay, drop, read", flags.Arg(0))
	}
	return command(ctx, settings, flags.Args()[1:])
}

// setConnection takes the credentials out of the endpoint.
func setConnection(settings *rabbitqueue.Settings, endpoint string) error {
	u, err := url.Parse(endpoint)
	if err != nil || u.Hostname() == "" || (u.Scheme != "amqp" && u.Scheme != "amqps") || u.RawQuery != "" || u.Fragment != "" {
		return errors.New("--endpoint: want amqp://user:password@host:port/vhost")
	}
	password, _ := u.User.Password()
	settings.Auth = rabbitqueue.PlainAuth(u.User.Username(), password)
	u.User = nil
	settings.URL = u.String()
	return nil
}

// messageFilter chooses dead messages.
type messageFilter struct{ org, repo, id string }

func (c *messageFilter) flags(name string) *flag.FlagSet {
	flags := flag.NewFlagSet(name, flag.ContinueOnError)
	flags.StringVar(&c.org, "org", "", "only jobs of this organization")
	flags.StringVar(&c.repo, "repo", "", "only jobs of this repository, with its owner in front or without")
	flags.StringVar(&c.id, "id", "", "only the job with this id")
	return flags
}

// parse reads the arguments of a command that chooses dead messages.
func (c *messageFilter) parse(name string, args []string) error {
	if err := c.flags(name).Parse(args); err != nil {
		return err
	}
	return splitOwner(&c.org, &c.repo)
}

// splitOwner takes the owner out of a repository that is written as OWNER/NAME.
func splitOwner(org, repo *string) error {
	owner, name, ok := strings.Cut(*repo, "/")
	if !ok {
		return nil
	}
	if *org == "" {
		*org = owner
	}
	if owner == "" || name == "" || strings.Contains(name, "/") || !strings.EqualFold(owner, *org) {
		return fmt.Errorf("--repo: %q, want the name of a repository of the organization %q, or OWNER/NAME", *repo, *org)
	}
	*repo = name
	return nil
}

func (c *messageFilter) matches(d *rabbitqueue.DeadLetter) bool {
	matches := func(want, got string) bool { return want == "" || strings.EqualFold(want, got) }
	if d.Invalid != nil {
		return *c == messageFilter{}
	}
	return matches(c.org, d.Job.Org) && matches(c.repo, d.Job.Repo) && matches(c.id, d.Job.ID)
}

func listDead(ctx context.Context, settings rabbitqueue.Settings, args []string) (string, error) {
	var c messageFilter
	if err := c.parse("dead", args); err != nil {
		return "", err
	}
	var text strings.Builder
	n := 0
	err := rabbitqueue.ReviewDeadLetters(ctx, settings, func(d rabbitqueue.DeadLetter) rabbitqueue.Decision {
		if c.matches(&d) {
			n++
			text.WriteString(formatMessage(&d))
		}
		return rabbitqueue.DecisionKeep
	})
	if err != nil {
		return text.String(), err // how many there are is not known
	}
	fmt.Fprintf(&text, "%d dead messages\n", n)
	return text.String(), nil
}

func formatMessage(d *rabbitqueue.DeadLetter) string {
	if d.Invalid != nil {
		return fmt.Sprintf("not a job: %.200q\n  reason: %s\n", d.Body, d.Reason)
	}
	j := &d.Job
	return fmt.Sprintf("job %s: %s/%s %s %s, missed because of %s\n  reason: %s\n  %s\n",
		j.ID, j.Org, j.Repo, j.Streams, j.Window, j.Reason, d.Reason, strings.Join(d.History, "\n  "))
}

func replayDead(ctx context.Context, settings rabbitqueue.Settings, args []string) (string, error) {
	return moveDead(ctx, settings, args, "replay", rabbitqueue.DecisionReplay)
}

func dropDead(ctx context.Context, settings rabbitqueue.Settings, args []string) (string, error) {
	return moveDead(ctx, settings, args, "drop", rabbitqueue.DecisionRemove)
}

func moveDead(
	ctx context.Context, settings rabbitqueue.Settings, args []string, name string, decision rabbitqueue.Decision,
) (string, error) {
	var c messageFilter
	if err := c.parse(name, args); err != nil {
		return "", err
	}
	done, kept := 0, 0
	err := rabbitqueue.ReviewDeadLetters(ctx, settings, func(d rabbitqueue.DeadLetter) rabbitqueue.Decision {
		if !c.matches(&d) || (d.Invalid != nil && decision == rabbitqueue.DecisionReplay) {
			kept++
			return rabbitqueue.DecisionKeep
		}
		done++
		return decision
	})
	switch {
	case err != nil && done == 0:
		return "", err
	case err != nil:
		return fmt.Sprintf("%s: at most %d messages before the error\n", name, done), err
	}
	return fmt.Sprintf("%s: %d messages, %d kept\n", name, done, kept), nil
}

// publishJob publishes a job that is read whatever the coverage says.
func publishJob(ctx context.Context, settings rabbitqueue.Settings, args []string) (string, error) {
	job, err := newJob(args, time.Now().UTC())
	if err != nil {
		return "", err
	}
	if err := rabbitqueue.Publish(ctx, settings, job); err != nil {
		return "", err
	}
	return fmt.Sprintf("job %s: %s/%s %s %s will be read again\n", job.ID, job.Org, job.Repo, job.Streams, job.Window), nil
}

// newJob makes a job of the arguments.
func newJob(args []string, now time.Time) (backfill.Job, error) {
	job := backfill.Job{ID: "operator-" + rand.Text(), Reason: backfill.ReasonOperator, Attempt: 1, CreatedAt: now}
	flags := flag.NewFlagSet("read", flag.ContinueOnError)
	flags.StringVar(&job.Org, "org", "", "the organization")
	flags.StringVar(&job.Repo, "repo", "", "the repository, with its owner in front or without")
	from := flags.String("from", "", "the beginning, like 2026-01-31T00:00:00Z")
	until := flags.String("until", now.Format(time.RFC3339), "the end")
	streams := flags.String("streams", "commits,pulls,comments", "what to read")
	err := flags.Parse(args)
	if err != nil {
		return job, err
	}
	if err = splitOwner(&job.Org, &job.Repo); err != nil {
		return job, err
	}
	if job.Window.Start, err = time.Parse(time.RFC3339, *from); err != nil {
		return job, fmt.Errorf("--from: %w", err)
	}
	if job.Window.End, err = time.Parse(time.RFC3339, *until); err != nil {
		return job, fmt.Errorf("--until: %w", err)
	}
	if job.Streams, err = backfill.ParseStreams(strings.Split(*streams, ",")); err != nil {
		return job, fmt.Errorf("--streams: %w", err)
	}
	return job, job.Validate()
}
