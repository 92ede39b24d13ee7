// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

// Package explain lists the events behind the numbers of the activity metrics, from the store that the collector
// writes.
package explain

import (
	"context"
	"encoding/json"
	"time"

	"github.com/spf13/cobra"

	"github.com/seed-358c4d9d/githubexporter/cmd/gxctl/internal/cli"
	"github.com/seed-358c4d9d/githubexporter/cmd/gxctl/internal/collectorconfig"
)

// options are what the flags say.
type options struct {
	uris                    []string
	org, repo, user, metric string
	window, since, at       string
	json                    bool
	timeout                 time.Duration
}

// NewCommand returns the command `gxctl explain`.
func NewCommand() *cobra.Command {
	var o options
	command := &cobra.Command{
		Use:   "explain --config FILE --org ORG",
		Short: "List the events behind a number",
		Long: `List the events behind the numbers of the activity metrics with links to GitHub, by repository, user and
metric. It reads the store that the configuration names, Redis or file_storage, also while the collector runs.`,
		Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error { return o.run(command) },
	}
	flags := command.Flags()
	flags.StringArrayVar(&o.uris, "config", nil, "the collector's --config; several are merged")
	flags.StringVar(&o.org, "org", "", "the organization")
	flags.StringVar(&o.repo, "repo", "", "only this repository")
	flags.StringVar(&o.user, "user", "", "only this user: a login, or a value of the label user")
	flags.StringVar(&o.metric, "metric", "", "only this metric, such as gh_activity_commits_24h")
	flags.StringVar(&o.window, "window", "", "only metrics over this window: 24h, 7d, 30d or weekly")
	flags.StringVar(&o.since, "since", "", "in place of the windows, count all events since a time or a duration ago")
	flags.StringVar(&o.at, "at", "", "the time of the numbers, such as 2026-01-31T12:00:00Z; by default now")
	flags.BoolVar(&o.json, "json", false, "print one JSON object in place of lines")
	flags.DurationVar(&o.timeout, "timeout", time.Minute, "how long reading the store may take")
	return command
}

// run reads the store and prints the events.
func (o *options) run(command *cobra.Command) error {
	query, err := o.query(time.Now().UTC())
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(command.Context(), o.timeout)
	defer cancel()
	collector, err := collectorconfig.Load(ctx, o.uris)
	if err != nil {
		return err
	}
	for i := range collector.Receivers {
		receiver := &collector.Receivers[i]
		for n := range receiver.Config.Orgs {
			if !receiver.Config.Orgs[n].IsOrg(o.org) {
				continue
			}
			source := &source{collector: collector, receiver: receiver, org: &receiver.Config.Orgs[n]}
			found, err := source.read(ctx)
			if err != nil {
				return err
			}
			return o.print(command, found.answer(query))
		}
	}
	return cli.Usagef("--org: %q is not configured", o.org)
}

// print prints an answer.
func (o *options) print(command *cobra.Command, a *Answer) error {
	if !o.json {
		return a.write(command.OutOrStdout())
	}
	encoder := json.NewEncoder(command.OutOrStdout())
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(a)
}

// query is what is asked.
type query struct {
	repo, user, metric, window string
	// since is the exclusive start of the events; zero for the windows of the metrics.
	since, at time.Time
}

// query returns what the flags ask at a time.
func (o *options) query(now time.Time) (*query, error) {
	q := &query{repo: o.repo, user: o.user, metric: metricName(o.metric), at: now}
	var err error
	switch {
	case len(o.uris) == 0:
		return nil, cli.Usagef("--config is missing: want the file of the collector's configuration")
	case o.org == "":
		return nil, cli.Usagef("--org is missing: want the name of an organization")
	case o.since != "" && (o.window != "" || o.metric != ""):
		return nil, cli.Usagef("--since: counts all events, want it without --window and --metric")
	}
	if o.at != "" {
		if q.at, err = time.Parse(time.RFC3339, o.at); err != nil {
			return nil, cli.Usagef("--at: %w", err)
		}
	}
	if o.metric != "" && !isWindowMetric(q.metric) {
		return nil, cli.Usagef("--metric: %q, want an activity metric over a window, such as gh_activity_commits_24h",
			o.metric)
	}
	if q.window, err = windowSuffix(o.window); err != nil {
		return nil, err
	}
	if o.since == "" {
		return q, nil
	}
	if ago, err := time.ParseDuration(o.since); err == nil {
		q.since = q.at.Add(-ago)
	} else if q.since, err = time.Parse(time.RFC3339, o.since); err != nil {
		return nil, cli.Usagef("--since: want a duration such as 48h, or a time such as 2026-01-31T12:00:00Z")
	}
	return q, nil
}

// windowSuffix returns the end of the names of the metrics over a window; empty for all.
func windowSuffix(window string) (string, error) {
	switch window {
	case "":
		return "", nil
	case "24h", "7d", "30d", "weekly":
		return "_" + window, nil
	default:
		return "", cli.Usagef("--window: %q, want one of 24h, 7d, 30d, weekly", window)
	}
}
