// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

// Package jobs manages backfill jobs in RabbitMQ: it lists dead-lettered ones with their reasons, publishes them again,
// deletes them, and publishes jobs that read a window again.
package jobs

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/seed-358c4d9d/githubexporter/cmd/gxctl/internal/cli"
	"github.com/seed-358c4d9d/githubexporter/internal/backfill"
	"github.com/seed-358c4d9d/githubexporter/internal/backfill/rabbitqueue"
)

// NewCommand returns the command `gxctl jobs` with its subcommands.
func NewCommand() *cobra.Command {
	b := &broker{}
	command := cli.Group(&cobra.Command{
		Use:   "jobs",
		Short: "List, replay and delete dead-lettered backfill jobs, and read a window again",
		Long: `List, replay and delete dead-lettered backfill jobs, and read a window again, in RabbitMQ. --config has
where it is and the credential, as for the collector; without it, --endpoint or RABBITMQ_URL.`,
	})
	b.addFlags(command.PersistentFlags())
	command.AddCommand(
		b.newReview("dead", "List the messages in the dead-letter queue, with their reasons", listDead),
		b.newReview("replay", "Publish dead-lettered jobs again, with all their attempts", replayDead),
		b.newReview("drop", "Delete dead-lettered messages", dropDead),
		b.newRead(),
	)
	return command
}

// review is what a command does with the dead-lettered messages that a filter selects. It returns a text.
type review func(context.Context, rabbitqueue.Settings, *messageFilter) (string, error)

// newReview returns a command about dead-lettered messages.
func (b *broker) newReview(name, short string, run review) *cobra.Command {
	var filter messageFilter
	command := &cobra.Command{
		Use: name, Short: short, Long: short + ". --org, --repo and --id select; without them: all.",
		Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			if err := splitOwner(&filter.org, &filter.repo); err != nil {
				return err
			}
			settings, err := b.settings(command.Context())
			if err != nil {
				return err
			}
			text, err := run(command.Context(), settings, &filter)
			_, writeErr := fmt.Fprint(command.OutOrStdout(), text)
			return errors.Join(err, writeErr)
		},
	}
	command.Flags().StringVar(&filter.org, "org", "", "only jobs of this organization")
	command.Flags().StringVar(&filter.repo, "repo", "",
		"only jobs of this repository, with its owner in front or without")
	command.Flags().StringVar(&filter.id, "id", "", "only the job with this id")
	return command
}

// newRead returns the command that reads a window again.
func (b *broker) newRead() *cobra.Command {
	var asked request
	command := &cobra.Command{
		Use:   "read",
		Short: "Read a window again",
		Long:  "Read a window of a repository again, whether it is a gap or not. No event is counted twice.",
		Args:  cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			job, err := asked.newJob(time.Now().UTC())
			if err != nil {
				return cli.Usagef("%w", err)
			}
			settings, err := b.settings(command.Context())
			if err != nil {
				return err
			}
			if err := rabbitqueue.Publish(command.Context(), settings, job); err != nil {
				return err
			}
			_, err = fmt.Fprintf(command.OutOrStdout(), "job %s: %s/%s %s %s will be read again\n",
				job.ID, job.Org, job.Repo, job.Streams, job.Window)
			return err
		},
	}
	flags := command.Flags()
	flags.StringVar(&asked.org, "org", "", "the organization")
	flags.StringVar(&asked.repo, "repo", "", "the repository, with its owner in front or without")
	flags.StringVar(&asked.from, "from", "", "the beginning, like 2026-01-31T00:00:00Z")
	flags.StringVar(&asked.until, "until", "", "the end, by default now")
	flags.StringVar(&asked.streams, "streams", "commits,pulls,comments", "what to read")
	return command
}

// messageFilter selects dead-lettered messages. Its zero value selects all.
type messageFilter struct{ org, repo, id string }

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
		return cli.Usagef("--repo: %q, want the name of a repository of the organization %q, or OWNER/NAME", *repo,
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

// listDead returns a text about the dead-lettered messages that match a filter.
func listDead(ctx context.Context, settings rabbitqueue.Settings, filter *messageFilter) (string, error) {
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
	streams := j.Streams.String()
	if j.Source != "" {
		streams = "of"
	}
	return fmt.Sprintf("job %s: %s/%s %s %s, missed because of %s\n  reason: %s\n  %s\n",
		j.ID, j.Owner(), j.Repo, streams, j.Window, j.Reason, d.Reason, strings.Join(d.History, "\n  "))
}

// replayDead publishes dead-lettered jobs again.
func replayDead(ctx context.Context, settings rabbitqueue.Settings, filter *messageFilter) (string, error) {
	return applyDecision(ctx, settings, filter, "replay", rabbitqueue.DecisionReplay)
}

// dropDead removes dead-lettered messages.
func dropDead(ctx context.Context, settings rabbitqueue.Settings, filter *messageFilter) (string, error) {
	return applyDecision(ctx, settings, filter, "drop", rabbitqueue.DecisionRemove)
}

// applyDecision replays or removes the dead-lettered messages that match a filter, and returns a text with their
// number.
func applyDecision(
	ctx context.Context, settings rabbitqueue.Settings, filter *messageFilter, name string,
	decision rabbitqueue.Decision,
) (string, error) {
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

// request is what the flags of `gxctl jobs read` say.
type request struct{ org, repo, from, until, streams string }

// newJob returns the job of a request. It is read even when the coverage has its window.
func (r *request) newJob(now time.Time) (backfill.Job, error) {
	job := backfill.Job{
		ID: "operator-" + rand.Text(), Org: r.org, Repo: r.repo, Reason: backfill.ReasonOperator, Attempt: 1,
		CreatedAt: now,
	}
	err := splitOwner(&job.Org, &job.Repo)
	if err != nil {
		return job, err
	}
	if job.Window.Start, err = time.Parse(time.RFC3339, r.from); err != nil {
		return job, fmt.Errorf("--from: %w", err)
	}
	if job.Window.End, err = time.Parse(time.RFC3339, cmp.Or(r.until, now.Format(time.RFC3339))); err != nil {
		return job, fmt.Errorf("--until: %w", err)
	}
	if job.Streams, err = backfill.ParseStreams(strings.Split(r.streams, ",")); err != nil {
		return job, fmt.Errorf("--streams: %w", err)
	}
	return job, job.Validate()
}
