// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package rabbitqueue

import (
	"crypto/tls"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
	"go.uber.org/zap"

	"github.com/seed-358c4d9d/githubexporter/internal/backfill"
)

// Settings configure a Queue.
type Settings struct {
	// URL is the broker's address without credentials: amqp or amqps, host, port, virtual host.
	URL string
	// Auth is PlainAuth or ExternalAuth.
	Auth amqp.Authentication
	// TLS configures amqps; nil is the system's defaults.
	TLS *tls.Config
	// Exchange, Queue and DeadQueue are names. The names of the organizations' queues and of the retry queues are
	// derived from Queue; see OrgQueue and RetryQueues.
	Exchange, Queue, DeadQueue string
	// Orgs are the organizations whose jobs are published and consumed.
	Orgs    []string
	Retries backfill.RetryPolicy
	// Prefetch bounds the unacknowledged jobs of a replica, unless Consumers for each organization are more. Consumers
	// is the number of jobs that it works on at a time.
	Prefetch, Consumers int
	// ConnectionName is shown in the broker's list of connections.
	ConnectionName string
	Now            func() time.Time
	Logger         *zap.Logger
	// OnState is called with each change of the state of the connections, in order, one call at a time; nil is
	// connected. It may call methods of the queue; it must not block.
	OnState func(error)
	// OnConsumer is called when consuming starts (nil) or is interrupted. It must not block.
	OnConsumer func(error)
	// OnInvalid is called with the queue of a message that does not encode a job, OnReturned with that of a job that
	// was returned for its organization.
	OnInvalid, OnReturned func(queue string)
	// OnRefused is called when a queue refuses jobs (basic.nack), and with nil when it accepts jobs again; in order,
	// one call at a time. It must not block.
	OnRefused func(queue string, err error)
}

// PlainAuth authenticates with a user name and a password.
func PlainAuth(username, password string) amqp.Authentication {
	return &amqp.PlainAuth{Username: username, Password: password}
}

// ExternalAuth authenticates with the certificate of the TLS client.
func ExternalAuth() amqp.Authentication { return &amqp.ExternalAuth{} }

// setDefaults replaces callbacks that are nil by functions that do nothing.
func (s *Settings) setDefaults() {
	if s.OnState == nil {
		s.OnState = func(error) {}
	}
	if s.OnConsumer == nil {
		s.OnConsumer = func(error) {}
	}
	if s.OnInvalid == nil {
		s.OnInvalid = func(string) {}
	}
	if s.OnReturned == nil {
		s.OnReturned = func(string) {}
	}
	if s.OnRefused == nil {
		s.OnRefused = func(string, error) {}
	}
}
