// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

// Package validate checks a configuration before the collector runs with it: the settings themselves and, online, the
// credential with its permissions, the organizations, Redis and RabbitMQ.
package validate

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"time"

	"github.com/spf13/cobra"

	"github.com/seed-358c4d9d/githubexporter/cmd/gxctl/internal/cli"
	"github.com/seed-358c4d9d/githubexporter/cmd/gxctl/internal/collectorconfig"
)

// options are what the flags say.
type options struct {
	uris   []string
	online bool
	// elsewhere says that this is not the machine of the collector: its files may be absent.
	elsewhere bool
	json      bool
	timeout   time.Duration
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

The files that it names must be there: run it where the collector will run. On another machine, such as that of a
CI job, --allow-missing-files makes an absent file a warning.

Each check is one line: ok, warn, fail or skip, the reason, and what to do. The exit code is 1 when a check fails.`,
		Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			if len(o.uris) == 0 {
				return cli.Usagef("--config is missing: want the file of a collector's configuration")
			}
			if o.online && o.elsewhere {
				return cli.Usagef("--allow-missing-files with --online: want one of them, because the files have the " +
					"credentials")
			}
			return o.run(command)
		},
	}
	flags := command.Flags()
	flags.StringArrayVar(&o.uris, "config", nil,
		"the collector's --config: a file, or a URI such as env:NAME or yaml:KEY: VALUE; several are merged")
	flags.BoolVar(&o.online, "online", false, "check also GitHub, Redis and RabbitMQ")
	flags.BoolVar(&o.elsewhere, "allow-missing-files", false,
		"a file that a setting names and that does not exist is a warning, as on another machine than the collector's")
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
	o.check(ctx, &results)
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
func (o *options) check(ctx context.Context, results *report) {
	load := collectorconfig.Load
	if o.elsewhere {
		load = collectorconfig.LoadElsewhere
	}
	collector, err := load(ctx, o.uris)
	if err != nil {
		action := "correct the configuration"
		if errors.Is(err, fs.ErrNotExist) {
			action = "make the file, or " + action + elsewhereHint
		}
		results.add("configuration", "", StatusFail, oneLine(err.Error()), action)
		return
	}
	checkStatic(results, collector)
	o.checkFiles(results, collector)
	if results.worst() == StatusFail || !o.online {
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
