// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

// Command backfillctl manages backfill jobs in RabbitMQ: it lists dead-lettered ones with their reasons, publishes them
// again, deletes them, and publishes jobs that read a window again.
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

// usage is the text before the flags in the help.
const usage = `usage: backfillctl [flags] command [flags]

commands:
  dead     list the messages in the dead-letter queue, with their reasons
  replay   publish dead-lettered jobs again, with all their attempts (--org, --repo, --id select; without them: all)
  drop     delete dead-lettered messages (--org, --repo, --id select; without them: all)
  read     read a window again (--org, --repo, --from, --until, --streams)

flags:
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	output, err := run(ctx, os.Args[1:])
	stop()
	_, writeErr := os.Stdout.WriteString(output)
	if err = errors.Join(err, writeErr); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "backfillctl:", err)
		os.Exit(1)
	}
}

// run executes a command line without the program's name, and returns the text for standard output.
func run(ctx context.Context, args []string) (string, error) {
	flags := flag.NewFlagSet("backfillctl", flag.ContinueOnError)
	flags.Usage = func() {
		_, _ = io.WriteString(flags.Output(), usage)
		flags.PrintDefaults()
	}
	// The usage would show the password of a default value.
	endpoint := flags.String("endpoint", "",
		"amqp://user:password@host:port/vhost, by default the environment's RABBITMQ_URL")
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

// setConnection sets the URL and the credentials of an endpoint.
func setConnection(settings *rabbitqueue.Settings, endpoint string) error {
	u, err := url.Parse(endpoint)
	if err != nil || u.Hostname() == "" || (u.Scheme != "amqp" && u.Scheme != "amqps") || u.RawQuery != "" ||
		u.Fragment != "" {
		return errors.New("--endpoint: want amqp://user:password@host:port/vhost")
	}
	password, _ := u.User.Password()
	settings.Auth = rabbitqueue.PlainAuth(u.User.Username(), password)
	u.User = nil
	settings.URL = u.String()
	return nil
}

// messageFilter selects dead-lettered messages. Its zero value selects all.
type messageFilter struct{ org, repo, id string }

func (f *messageFilter) flags(name string) *flag.FlagSet {
	flags := flag.NewFlagSet(name, flag.ContinueOnError)
	flags.StringVar(&f.org, "org", "", "only jobs of this organization")
	flags.StringVar(&f.repo, "repo", "", "only jobs of this repository, with its owner in front or without")
	flags.StringVar(&f.id, "id", "", "only the job with this id")
	return flags
}

// parse sets the filter from the arguments of a command.
func (f *messageFilter) parse(name string, args []string) error {
	if err := f.flags(name).Parse(args); err != nil {
		return err
	}
	return splitOwner(&f.org, &f.repo)
}

// splitOwner splits a repository that is written as OWNER/NAME, and sets the organization to its owner.
func splitOwner(org, repo *string) error {
	owner, name, ok := strings.Cut(*repo, "/")
	if !ok {
		return nil
	}
	if *org == "" {
		*org = owner
	}
	if owner == "" || name == "" || strings.Contains(name, "/") || !strings.EqualFold(owner, *org) {
		return fmt.Errorf("--repo: %q, want the name of a repository of the organization %q, or OWNER/NAME", *repo,
			*org)
	}
	*repo = name
	return nil
}

// matches reports whether the filter selects a message. A message that is not a job is selected by the zero value only.
func (f *messageFilter) matches(d *rabbitqueue.DeadLetter) bool {
	matches := func(want, got string) bool { return want == "" || strings.EqualFold(want, got) }
	if d.Invalid != nil {
		return *f == messageFilter{}
	}
	return matches(f.org, d.Job.Org) && matches(f.repo, d.Job.Repo) && matches(f.id, d.Job.ID)
}

// listDead returns a text about the dead-lettered messages that match the arguments.
func listDead(ctx context.Context, settings rabbitqueue.Settings, args []string) (string, error) {
	var filter messageFilter
	if err := filter.parse("dead", args); err != nil {
		return "", err
	}
	var text strings.Builder
	n := 0
	err := rabbitqueue.ReviewDeadLetters(ctx, settings, func(d rabbitqueue.DeadLetter) rabbitqueue.Decision {
		if filter.matches(&d) {
			n++
			text.WriteString(formatMessage(&d))
		}
		return rabbitqueue.DecisionKeep
	})
	if err != nil {
		return text.String(), err // the number of messages is unknown
	}
	fmt.Fprintf(&text, "%d dead messages\n", n)
	return text.String(), nil
}

// formatMessage returns the lines about a dead-lettered message.
func formatMessage(d *rabbitqueue.DeadLetter) string {
	if d.Invalid != nil {
		return fmt.Sprintf("not a job: %.200q\n  reason: %s\n", d.Body, d.Reason)
	}
	j := &d.Job
	return fmt.Sprintf("job %s: %s/%s %s %s, missed because of %s\n  reason: %s\n  %s\n",
		j.ID, j.Org, j.Repo, j.Streams, j.Window, j.Reason, d.Reason, strings.Join(d.History, "\n  "))
}

// replayDead publishes dead-lettered jobs again.
func replayDead(ctx context.Context, settings rabbitqueue.Settings, args []string) (string, error) {
	return applyDecision(ctx, settings, args, "replay", rabbitqueue.DecisionReplay)
}

// dropDead removes dead-lettered messages.
func dropDead(ctx context.Context, settings rabbitqueue.Settings, args []string) (string, error) {
	return applyDecision(ctx, settings, args, "drop", rabbitqueue.DecisionRemove)
}

// applyDecision replays or removes the dead-lettered messages that match the arguments, and returns a text with their
// number.
func applyDecision(
	ctx context.Context, settings rabbitqueue.Settings, args []string, name string, decision rabbitqueue.Decision,
) (string, error) {
	var filter messageFilter
	if err := filter.parse(name, args); err != nil {
		return "", err
	}
	moved, kept := 0, 0
	err := rabbitqueue.ReviewDeadLetters(ctx, settings, func(d rabbitqueue.DeadLetter) rabbitqueue.Decision {
		if !filter.matches(&d) || (d.Invalid != nil && decision == rabbitqueue.DecisionReplay) {
			kept++
			return rabbitqueue.DecisionKeep
		}
		moved++
		return decision
	})
	switch {
	case err != nil && moved == 0:
		return "", err
	case err != nil:
		return fmt.Sprintf("%s: at most %d messages before the error\n", name, moved), err
	}
	return fmt.Sprintf("%s: %d messages, %d kept\n", name, moved, kept), nil
}

// publishJob publishes a job that is read even when the coverage has its window.
func publishJob(ctx context.Context, settings rabbitqueue.Settings, args []string) (string, error) {
	job, err := newJob(args, time.Now().UTC())
	if err != nil {
		return "", err
	}
	if err := rabbitqueue.Publish(ctx, settings, job); err != nil {
		return "", err
	}
	return fmt.Sprintf("job %s: %s/%s %s %s will be read again\n", job.ID, job.Org, job.Repo, job.Streams, job.Window),
		nil
}

// newJob returns the job of a command's arguments.
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
