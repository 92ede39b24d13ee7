// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

// Command githubtest serves a fake GitHub from data files: what happened before the pivot is there from the start,
// what happened after it goes on arriving.
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
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		log.Fatal(err)
	}
}

// run serves until the context ends.
func run(ctx context.Context, arguments []string, stdout, stderr io.Writer) error {
	opt, err := parseFlags(arguments, stderr)
	if err != nil {
		return err
	}
	set, err := opt.settings(time.Now())
	if err != nil {
		return err
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", opt.listen)
	if err != nil {
		return err
	}
	s := githubtest.NewServer(set)
	if !opt.hold.IsZero() {
		s.HideAfter(opt.hold)
	}
	_, _ = fmt.Fprintf(stdout, "listening on http://%s\n", listener.Addr())
	return serve(ctx, s, listener, log.New(stderr, "githubtest ", log.LstdFlags|log.LUTC))
}

// serve answers until the context ends, and ends at once then.
func serve(ctx context.Context, s *githubtest.Server, listener net.Listener, logger *log.Logger) error {
	srv := &http.Server{Handler: s.Control(), ReadHeaderTimeout: 10 * time.Second, ErrorLog: log.New(io.Discard, "", 0)}
	done := make(chan error, 1)
	go func() { done <- srv.Serve(listener) }()
	minute := time.NewTicker(time.Minute)
	defer minute.Stop()
	for {
		select {
		case <-minute.C:
			st := s.Stats()
			logger.Printf(
				"%d requests, points %v, statuses %v, %d faults", st.Requests, st.Points, st.Statuses, st.Faults,
			)
		case <-ctx.Done():
			s.Close()
			return errors.Join(srv.Close(), ignoreServerClosed(<-done))
		case err := <-done:
			return err
		}
	}
}

func ignoreServerClosed(err error) error {
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// options are the command's flags.
type options struct {
	listen, data, token string
	orgs                []orgFlag
	pivot               time.Duration
	speed               float64
	start, hold         time.Time
	limits, enterprise  bool
	app                 *githubtest.App
}

// orgFlag is name=DIR[,token].
type orgFlag struct{ name, dir, token string }

func parseFlags(arguments []string, stderr io.Writer) (options, error) {
	var o options
	fs := flag.NewFlagSet("githubtest", flag.ContinueOnError)
	fs.SetOutput(stderr)
	fs.StringVar(&o.listen, "listen", "127.0.0.1:0", "address to listen on")
	fs.StringVar(&o.data, "data", "", "directory of an organization's data")
	fs.StringVar(&o.token, "token", githubtest.DefaultToken, "token that sees every organization")
	fs.Func("org", "further organization as name=DIR[,token]; repeatable", o.addOrg)
	fs.DurationVar(&o.pivot, "pivot", 48*time.Hour, "how long before the data's end is now")
	fs.Float64Var(&o.speed, "speed", 1, "how much faster than real the data goes on")
	fs.Func("start", "moment that the pivot is served as, RFC 3339 (default: now)", timeFlag(&o.start))
	fs.Func("hold", "nothing after this moment is visible until released, RFC 3339", timeFlag(&o.hold))
	fs.BoolVar(&o.limits, "limits", false, "enforce the rate limits")
	fs.Func("app", "GitHub App as ID=KEY.pem, installed as 1, 2, ... on the organizations in their order", o.addApp)
	fs.BoolVar(
		&o.enterprise, "no-rate-limits", false, "leave out everything about rate limits, as Enterprise Server does",
	)
	if err := fs.Parse(arguments); err != nil {
		return o, err
	}
	if fs.NArg() > 0 {
		return o, fmt.Errorf("unexpected argument %q", fs.Arg(0))
	}
	if o.data == "" && len(o.orgs) == 0 {
		return o, errors.New("one of -data and -org is needed")
	}
	return o, nil
}

func (o *options) addOrg(s string) error {
	name, rest, ok := strings.Cut(s, "=")
	dir, token, _ := strings.Cut(rest, ",")
	if !ok || name == "" || dir == "" {
		return fmt.Errorf("want name=DIR[,token], have %q", s)
	}
	o.orgs = append(o.orgs, orgFlag{name, dir, token})
	return nil
}

func (o *options) addApp(s string) error {
	number, file, _ := strings.Cut(s, "=")
	id, err := strconv.ParseInt(number, 10, 64)
	if err != nil || file == "" {
		return fmt.Errorf("want ID=KEY.pem, have %q", s)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	key, err := jwt.ParseRSAPrivateKeyFromPEM(text)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	o.app = &githubtest.App{ID: id, PublicKey: &key.PublicKey}
	return nil
}

func timeFlag(t *time.Time) func(string) error {
	return func(s string) (err error) {
		*t, err = time.Parse(time.RFC3339, s)
		return err
	}
}

func (o *options) settings(now time.Time) (githubtest.Settings, error) {
	set := githubtest.Settings{EnforceLimits: o.limits, NoRateLimits: o.enterprise}
	orgs := o.orgs
	if o.data != "" {
		orgs = append([]orgFlag{{dir: o.data}}, orgs...)
	}
	set.Credentials = []githubtest.Credential{{Token: o.token, Name: "default", Login: "octocat"}}
	var end time.Time
	for _, org := range orgs {
		d, err := githubtest.LoadDataset(os.DirFS(org.dir))
		if err != nil {
			return set, fmt.Errorf("%s: %w", org.dir, err)
		}
		if org.name != "" {
			d.Org.Login = org.name
		}
		if org.token != "" {
			set.Credentials = append(
				set.Credentials,
				githubtest.Credential{
					Token: org.token, Name: org.name, Login: org.name + "-reader", Orgs: []string{org.name},
				},
			)
		}
		if d.LastEventTime().After(end) {
			end = d.LastEventTime()
		}
		set.Datasets = append(set.Datasets, d)
		if o.app != nil {
			o.app.Installations = append(
				o.app.Installations, githubtest.Installation{ID: int64(len(set.Datasets)), Org: d.Org.Login},
			)
		}
	}
	if o.app != nil {
		set.Apps = []githubtest.App{*o.app}
	}
	set.Timeline = githubtest.Timeline{Pivot: end.Add(-o.pivot), Start: o.start, Speed: o.speed}
	if o.start.IsZero() {
		set.Timeline.Start = now
	}
	return set, nil
}
