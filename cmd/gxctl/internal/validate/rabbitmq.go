// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package validate

import (
	"context"
	"fmt"
	"net/url"

	"github.com/seed-358c4d9d/githubexporter/internal/backfill/rabbitqueue"
	"github.com/seed-358c4d9d/githubexporter/receiver/githubexporter"
)

// checkRabbitMQ checks the broker of a configuration; nothing where there is none.
func checkRabbitMQ(ctx context.Context, results *report, config *githubexporter.Config) {
	if !config.RabbitMQ.Enabled() {
		return
	}
	subject := ""
	if u, err := url.Parse(config.RabbitMQ.Endpoint); err == nil {
		subject = u.Host + u.Path
	}
	settings, err := config.RabbitMQSettings(ctx)
	if err != nil {
		results.add("rabbitmq connection", subject, StatusFail, oneLine(err.Error()), "correct the settings of tls")
		return
	}
	settings.ConnectionName = "gxctl"
	found, err := rabbitqueue.Inspect(ctx, settings)
	if err != nil {
		results.add("rabbitmq connection", subject, StatusFail, oneLine(err.Error()),
			"check endpoint with its virtual host, auth and tls, and that the network lets this machine connect")
		return
	}
	results.add("rabbitmq connection", subject, StatusOK, "the broker accepts the user", "")
	if isOlder(found.Version, 3, 10) {
		results.add("rabbitmq version", subject, StatusFail, found.Version+" is too old", "use RabbitMQ 3.10 or newer")
	} else {
		results.add("rabbitmq version", subject, StatusOK, found.Version, "")
	}
	for _, problem := range found.Problems {
		results.add("rabbitmq queues", subject, StatusFail, oneLine(problem.Error()),
			"give the user configure, write and read on the names that docs/backfill.md lists")
	}
	if len(found.Problems) == 0 {
		results.add("rabbitmq queues", subject, StatusOK, fmt.Sprintf(
			"exchanges and quorum queues can be declared and used: %d exist, %d will be declared", found.Existing,
			found.Missing), "")
	}
}
