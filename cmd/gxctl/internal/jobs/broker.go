// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package jobs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/spf13/pflag"
	"go.uber.org/zap"

	"github.com/seed-358c4d9d/githubexporter/cmd/gxctl/internal/cli"
	"github.com/seed-358c4d9d/githubexporter/cmd/gxctl/internal/collectorconfig"
	"github.com/seed-358c4d9d/githubexporter/internal/backfill/rabbitqueue"
)

// broker is what the flags say of RabbitMQ.
type broker struct {
	uris                       []string
	receiver, endpoint         string
	exchange, queue, deadQueue string
	flags                      *pflag.FlagSet
}

// addFlags adds the flags to those of a command.
func (b *broker) addFlags(flags *pflag.FlagSet) {
	b.flags = flags
	flags.StringArrayVar(&b.uris, "config", nil,
		"the collector's --config, which has RabbitMQ, its credential and its certificates; several are merged")
	flags.StringVar(&b.receiver, "receiver", "",
		"with --config: the receiver, such as githubexporter/second, where several have RabbitMQ")
	// The usage would show the password of a default value.
	flags.StringVar(&b.endpoint, "endpoint", "",
		"without --config: amqp://user:password@host:port/vhost, by default the environment's RABBITMQ_URL")
	flags.StringVar(&b.exchange, "exchange", "gh.backfill", "without --config: rabbitmq::exchange of the receiver")
	flags.StringVar(&b.queue, "queue", "gh.backfill.jobs", "without --config: rabbitmq::queue")
	flags.StringVar(&b.deadQueue, "dead-letter-queue", "gh.backfill.dlq",
		"without --config: rabbitmq::dead_letter_queue")
}

// settings returns the settings of the connection: those of the configuration, or of the flags and the environment.
func (b *broker) settings(ctx context.Context) (rabbitqueue.Settings, error) {
	read := b.readFlags
	if len(b.uris) > 0 {
		read = b.readConfig
	}
	settings, err := read(ctx)
	settings.ConnectionName, settings.Now, settings.Logger = "gxctl", time.Now, zap.NewNop()
	return settings, err
}

// readConfig returns the settings of the configuration.
func (b *broker) readConfig(ctx context.Context) (rabbitqueue.Settings, error) {
	for _, name := range []string{"endpoint", "exchange", "queue", "dead-letter-queue"} {
		if b.flags.Changed(name) {
			return rabbitqueue.Settings{}, cli.Usagef("--%s: not with --config, which has it", name)
		}
	}
	collector, err := collectorconfig.Load(ctx, b.uris)
	if err != nil {
		return rabbitqueue.Settings{}, err
	}
	for _, component := range collector.Components {
		if len(component.Problems) > 0 && component.IsReceiver {
			return rabbitqueue.Settings{}, fmt.Errorf("%s: %s", component.Path, strings.Join(component.Problems, "; "))
		}
	}
	var found []string
	var chosen *collectorconfig.Receiver
	for i := range collector.Receivers {
		r := &collector.Receivers[i]
		if r.Config.RabbitMQ.Enabled() && (b.receiver == "" || b.receiver == r.ID) {
			found, chosen = append(found, r.ID), r
		}
	}
	switch {
	case chosen == nil && b.receiver != "":
		return rabbitqueue.Settings{}, cli.Usagef("--receiver: no receiver %q with RabbitMQ", b.receiver)
	case chosen == nil:
		return rabbitqueue.Settings{}, errors.New("the configuration has no receiver with rabbitmq::endpoint: its " +
			"jobs are in the memory of the leader")
	case len(found) > 1:
		return rabbitqueue.Settings{}, cli.Usagef("--receiver: want one of %s", strings.Join(found, ", "))
	}
	return chosen.Config.RabbitMQSettings(ctx)
}

// readFlags returns the settings of the flags and of the environment.
func (b *broker) readFlags(context.Context) (rabbitqueue.Settings, error) {
	if b.receiver != "" {
		return rabbitqueue.Settings{}, cli.Usagef("--receiver: want it with --config")
	}
	settings := rabbitqueue.Settings{Exchange: b.exchange, Queue: b.queue, DeadQueue: b.deadQueue}
	u, err := url.Parse(cmp.Or(b.endpoint, os.Getenv("RABBITMQ_URL")))
	if err != nil || u.Hostname() == "" || (u.Scheme != "amqp" && u.Scheme != "amqps") || u.RawQuery != "" ||
		u.Fragment != "" {
		return settings, cli.Usagef("--config FILE is missing, or --endpoint or RABBITMQ_URL: want " +
			"amqp://user:password@host:port/vhost")
	}
	password, _ := u.User.Password()
	settings.Auth = rabbitqueue.PlainAuth(u.User.Username(), password)
	u.User = nil
	settings.URL = u.String()
	return settings, nil
}
