// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

// Package validate checks a configuration before the collector runs with it: the settings themselves and, online, the
// credential with its permissions, the organizations, Redis and RabbitMQ.
package validate

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
	uris    []string
	online  bool
	json    bool
	timeout time.Duration
}

// NewCommand returns the command `gxctl validate`.
func NewCommand() *cobra.Command {
	var o options
	command := &cobra.Command{
		Use:   "validate --config FILE...",
		Short: "Check a configuration and, with --online, what it connects to",
		Long: `Check the configuration of a collector: its receivers githubexporter and its extensions leader_elector
and replica_health. With --online, check also the credentials and their permissions, the organizations, Redis and
RabbitMQ, by requests that change nothing there.

Each check is one line: ok, warn, fail or skip, the reason, and what to do. The exit code is 1 when a check fails.`,
		Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			if len(o.uris) == 0 {
				return cli.Usagef("--config is missing: want the file of a collector's configuration")
			}
			return o.run(command)
		},
	}
	flags := command.Flags()
	flags.StringArrayVar(&o.uris, "config", nil,
		"the collector's --config: a file, or a URI such as env:NAME or yaml:KEY: VALUE; several are merged")
	flags.BoolVar(&o.online, "online", false, "check also GitHub, Redis and RabbitMQ")
	flags.BoolVar(&o.json, "json", false, "print one JSON object in place of lines")
	flags.DurationVar(&o.timeout, "timeout", time.Minute, "how long all checks may take")
	return command
}

// run runs the checks and prints their results.
func (o *options) run(command *cobra.Command) error {
	ctx, cancel := context.WithTimeout(command.Context(), o.timeout)
	defer cancel()
	var results report
	if !o.json {
		results.onAdd = func(r *Result) { command.Println(r.String()) }
		command.SetErr(command.OutOrStdout()) // Println writes there
	}
	check(ctx, &results, o.uris, o.online)
	if o.json {
		encoder := json.NewEncoder(command.OutOrStdout())
		encoder.SetEscapeHTML(false)
		encoder.SetIndent("", "  ")
		if err := encoder.Encode(results.document()); err != nil {
			return err
		}
	}
	if results.worst() == StatusFail {
		return cli.Failed()
	}
	return nil
}

// check runs the checks of a configuration.
func check(ctx context.Context, results *report, uris []string, online bool) {
	collector, err := collectorconfig.Load(ctx, uris)
	if err != nil {
		results.add("configuration", "", StatusFail, oneLine(err.Error()), "correct the configuration")
		return
	}
	checkStatic(results, collector)
	if results.worst() == StatusFail || !online {
		return
	}
	for _, receiver := range collector.Receivers {
		checkGitHub(ctx, results, receiver.Config)
		checkRedis(ctx, results, "redis", &receiver.Config.Redis.Config)
		checkRabbitMQ(ctx, results, receiver.Config)
	}
	for _, elector := range collector.Electors {
		switch {
		case elector.Config.Redis != nil:
			checkRedis(ctx, results, "redis of "+elector.ID, &elector.Config.Redis.Config)
		case elector.Config.Kubernetes != nil:
			results.add("kubernetes lease", elector.ID, StatusSkip, "it needs the service account of the pod",
				"kubectl auth can-i update leases --as system:serviceaccount:NAMESPACE:NAME -n NAMESPACE")
		}
	}
}
