// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

// Package healthcheck asks a health page whether a replica is ready. It is the health check of a container that has
// neither a shell nor curl.
package healthcheck

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/seed-358c4d9d/githubexporter/cmd/gxctl/internal/cli"
)

// maxBody bounds what is read of a response.
const maxBody = 64 << 10

// NewCommand returns the command `gxctl health`.
func NewCommand() *cobra.Command {
	var target string
	var timeout time.Duration
	command := &cobra.Command{
		Use:   "health",
		Short: "Ask whether a replica is ready: the health check of a container",
		Long: `Ask whether a replica is ready. The exit code is 0 when the health page responds with 200, otherwise 1,
with the reasons that the page names.`,
		Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			if u, err := url.Parse(target); err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
				return cli.Usagef("--url: want an address such as http://127.0.0.1:13133/readyz")
			}
			ctx, cancel := context.WithTimeout(command.Context(), timeout)
			defer cancel()
			if err := check(ctx, target); err != nil {
				return err
			}
			_, err := fmt.Fprintln(command.OutOrStdout(), "ready")
			return err
		},
	}
	command.Flags().StringVar(&target, "url", "http://127.0.0.1:13133/readyz", "address of the health page")
	command.Flags().DurationVar(&timeout, "timeout", 5*time.Second, "how long to wait for the response")
	return command
}

// check returns why the replica at an address is not ready, nil when it is.
func check(ctx context.Context, target string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, target, http.NoBody)
	if err != nil {
		return errors.New("--url: want an address such as http://127.0.0.1:13133/readyz")
	}
	request.Header.Set("Accept", "application/json")
	// No proxy: the page is that of this machine or of this pod.
	client := &http.Client{
		Transport:     &http.Transport{},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	response, err := client.Do(request)
	if err != nil {
		return withoutPassword(err)
	}
	defer response.Body.Close()
	if response.StatusCode == http.StatusOK {
		return nil
	}
	body, _ := io.ReadAll(io.LimitReader(response.Body, maxBody)) // the status says enough
	return fmt.Errorf("not ready: %s%s", response.Status, reasonsOf(body))
}

// withoutPassword returns the error of a request without its address, which may have a password.
func withoutPassword(err error) error {
	if wrapped := (*url.Error)(nil); errors.As(err, &wrapped) {
		return wrapped.Err
	}
	return err
}

// reasonsOf returns the reasons in the body of a health page, "" when it has none.
func reasonsOf(body []byte) string {
	var page struct{ Reasons []string }
	if json.Unmarshal(body, &page) != nil || len(page.Reasons) == 0 {
		return ""
	}
	return "\n  " + strings.Join(page.Reasons, "\n  ")
}
