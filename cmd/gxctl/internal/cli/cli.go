// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

// Package cli runs the command line of gxctl: exit codes, and where errors are shown.
package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"
)

// The exit codes.
const (
	ExitSuccess = 0
	ExitFailure = 1
	ExitUsage   = 2
)

// usageError is the error of a wrong command line.
type usageError struct{ error }

// Unwrap returns the error itself.
func (e usageError) Unwrap() error { return e.error }

// Usagef returns the error of a wrong command line.
func Usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// errFailed is the error of a command that has shown why it failed.
var errFailed = errors.New("failed")

// Failed returns the error of a command whose output says why it failed: nothing is added to it.
func Failed() error { return errFailed }

// Group makes a command that does nothing itself: without a subcommand, or with an unknown one, its usage is wrong.
func Group(command *cobra.Command) *cobra.Command {
	command.RunE = func(c *cobra.Command, args []string) error {
		if len(args) == 0 {
			return Usagef("a command is missing, see %s --help", c.CommandPath())
		}
		return Usagef("unknown command %q, see %s --help", args[0], c.CommandPath())
	}
	return command
}

// Run executes a command line without the program's name, shows its error, and returns the exit code.
func Run(ctx context.Context, root *cobra.Command, args []string) int {
	Group(root)
	root.SilenceErrors, root.SilenceUsage = true, true
	root.CompletionOptions.HiddenDefaultCmd = true
	parsed := false
	root.PersistentPreRun = func(*cobra.Command, []string) { parsed = true }
	root.SetArgs(args)
	command, err := root.ExecuteContextC(ctx)
	switch {
	case err == nil:
		return ExitSuccess
	case errors.Is(err, errFailed):
		return ExitFailure
	}
	command.PrintErrf("%s: %v\n", command.CommandPath(), err)
	if wrong := (usageError{}); !parsed || errors.As(err, &wrong) {
		return ExitUsage
	}
	return ExitFailure
}
