// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

// Command gxdemo serves what `make demo` needs beside the collector and Prometheus: a scripted GitHub with Copilot
// reports, and the page that draws the dashboards. Before it listens it writes to the folder -work: ca.pem, the
// certificate of the host of report files, and history.om, the past of the metrics for `promtool tsdb
// create-blocks-from openmetrics`.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/demo"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		log.Fatal(err)
	}
}

// options are the command's flags.
type options struct {
	data, dashboards, work    string
	github, page              string
	prometheus, job, instance string
	token                     string
	lookback                  time.Duration
	speed                     float64
}

func parseFlags(arguments []string) (options, error) {
	var o options
	fs := flag.NewFlagSet("gxdemo", flag.ContinueOnError)
	fs.StringVar(&o.data, "data", "testdata/open-telemetry", "directory of the organization's data")
	fs.StringVar(&o.dashboards, "dashboards", "deploy/grafana", "directory of the dashboards")
	fs.StringVar(&o.work, "work", "", "directory to write ca.pem and history.om to")
	fs.StringVar(&o.github, "github", "127.0.0.1:0", "address of the scripted GitHub")
	fs.StringVar(&o.page, "page", "127.0.0.1:0", "address of the page")
	fs.StringVar(&o.prometheus, "prometheus", "http://127.0.0.1:9090", "Prometheus that the page queries")
	fs.StringVar(&o.job, "job", "githubexporter", "label job of the history")
	fs.StringVar(&o.instance, "instance", "127.0.0.1:9464", "label instance of the history")
	fs.StringVar(&o.token, "token", "demo-token", "token that GitHub accepts")
	fs.DurationVar(&o.lookback, "lookback", 336*time.Hour, "how far the history goes back")
	fs.Float64Var(&o.speed, "speed", 60, "how much faster than real the data goes on")
	if err := fs.Parse(arguments); err != nil {
		return o, err
	}
	if o.work == "" {
		return o, errors.New("-work is needed")
	}
	return o, nil
}

// run serves until the context ends.
func run(ctx context.Context, arguments []string, stdout io.Writer) error {
	o, err := parseFlags(arguments)
	if err != nil {
		return err
	}
	start := time.Now().UTC().Truncate(time.Second)
	github, err := demo.NewGitHub(os.DirFS(o.data), o.token, start, o.speed)
	if err != nil {
		return err
	}
	defer github.Close()
	if err := o.writeFiles(github); err != nil {
		return err
	}
	page, err := demo.NewPage(os.DirFS(o.dashboards), o.prometheus)
	if err != nil {
		return err
	}
	return serve(ctx, stdout, []site{{"github", o.github, github}, {"page", o.page, page}})
}

// writeFiles writes the certificate and the history.
func (o *options) writeFiles(github *demo.GitHub) error {
	certificate := filepath.Join(o.work, "ca.pem")
	if err := os.WriteFile(certificate, github.Certificate(), 0o600); err != nil { //nolint:gosec // a flag names it
		return err
	}
	file, err := os.Create(filepath.Join(o.work, "history.om")) //nolint:gosec // a flag names the folder
	if err != nil {
		return err
	}
	return errors.Join(github.History(o.job, o.instance, o.lookback).Write(file), file.Close())
}

// site is a server of this process.
type site struct {
	name, address string
	handler       http.Handler
}

// serve serves all sites until the context ends or one fails, and prints their addresses when all listen.
func serve(ctx context.Context, stdout io.Writer, sites []site) error {
	done := make(chan error, len(sites))
	var servers []*http.Server
	defer func() {
		for _, server := range servers {
			_ = server.Close()
		}
	}()
	for _, s := range sites {
		listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", s.address)
		if err != nil {
			return err
		}
		server := &http.Server{Handler: s.handler, ReadHeaderTimeout: 10 * time.Second}
		servers = append(servers, server)
		go func() { done <- server.Serve(listener) }()
		_, _ = fmt.Fprintf(stdout, "%s listens on http://%s\n", s.name, listener.Addr())
	}
	_, _ = fmt.Fprintln(stdout, "ready")
	select {
	case <-ctx.Done():
		return nil
	case err := <-done:
		return err
	}
}
