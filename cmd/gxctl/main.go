// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

// Command gxctl is the operator's tool beside the collector: it checks a configuration, explains
// numbers, asks the health page, and manages backfill jobs.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/seed-358c4d9d/githubexporter/cmd/gxctl/internal/cli"
	"github.com/seed-358c4d9d/githubexporter/cmd/gxctl/internal/explain"
	"github.com/seed-358c4d9d/githubexporter/cmd/gxctl/internal/healthcheck"
	"github.com/seed-358c4d9d/githubexporter/cmd/gxctl/internal/jobs"
	"github.com/seed-358c4d9d/githubexporter/cmd/gxctl/internal/validate"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := cli.Run(ctx, newCommand(), os.Args[1:])
	stop()
	os.Exit(code)
}

// newCommand returns the command with all its subcommands.
func newCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "gxctl",
		Short: "Operate githubexporter: configuration, numbers, health, backfill jobs",
		Long: `Operate githubexporter: check a configuration, explain numbers, ask the health page, and manage backfill
jobs.

Exit codes: 0 success, 1 failure, 2 wrong usage.`,
	}
	root.AddCommand(explain.NewCommand(), healthcheck.NewCommand(), jobs.NewCommand(), validate.NewCommand())
	return root
}
