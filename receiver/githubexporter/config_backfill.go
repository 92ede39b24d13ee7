// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubexporter

import (
	"errors"
	"fmt"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/backfill"
	"github.com/seed-358c4d9d/githubexporter/internal/configcheck"
)

// BackfillConfig configures the jobs that read gaps.
type BackfillConfig struct {
	// Enabled publishes jobs for gaps. false: passes read the last 24 h of a gap, and what is older stays a gap.
	Enabled bool `mapstructure:"enabled"`
	// MaxMessageAge is the age at which a job is dropped; its window remains a gap, and the sweep publishes a new one.
	MaxMessageAge time.Duration `mapstructure:"max_message_age"`
	// ConsumerCount is the number of jobs that a replica works on at a time.
	ConsumerCount int `mapstructure:"consumer_count"`
	// RequeueDelays are the waits after failed attempts, ascending; the last one repeats. Each 1s to 168h.
	RequeueDelays []time.Duration `mapstructure:"requeue_delays"`
	// MaxAttempts is the number of failed attempts after which a job goes to the dead-letter queue.
	MaxAttempts int `mapstructure:"max_attempts"`
	// CoalesceWindow is the step to which windows are aligned; windows that touch are one job.
	CoalesceWindow time.Duration `mapstructure:"coalesce_window"`
	// DedupTTL is how long the claim of a job may go without a refresh before the job is published again, dead-lettered
	// jobs too. At least sweep_interval.
	DedupTTL time.Duration `mapstructure:"dedup_ttl"`
	// MaxEnqueuesPerOrgPerMinute bounds the jobs of an organization that are published in a minute; further ones are
	// deferred.
	MaxEnqueuesPerOrgPerMinute int `mapstructure:"max_enqueues_per_org_per_minute"`
	// SweepInterval is how often gaps without a job are searched, in addition to the end of each pass.
	SweepInterval time.Duration `mapstructure:"sweep_interval"`

	_ struct{}
}

func defaultBackfill() BackfillConfig {
	return BackfillConfig{
		Enabled: true, MaxMessageAge: 24 * time.Hour, ConsumerCount: 2,
		RequeueDelays: []time.Duration{time.Minute, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour},
		MaxAttempts:   7, CoalesceWindow: 15 * time.Minute, DedupTTL: 12 * time.Hour,
		MaxEnqueuesPerOrgPerMinute: 100, SweepInterval: 5 * time.Minute,
	}
}

// claimTimeout returns for how long the claim of a job may go without a refresh before the job counts as lost, if no
// queue can hold it any more.
func (c *BackfillConfig) claimTimeout() time.Duration { return max(5*time.Second, c.SweepInterval) }

// retries returns the retry policy, which all queues share.
func (c *BackfillConfig) retries() backfill.RetryPolicy {
	return backfill.RetryPolicy{Delays: c.RequeueDelays, MaxAttempts: c.MaxAttempts}
}

// Validate checks the ranges. The delays must ascend, and a claim must outlast a sweep.
func (c *BackfillConfig) Validate() error {
	errs := []error{
		configcheck.DurationBetween("max_message_age", c.MaxMessageAge, time.Minute, 30*24*time.Hour),
		configcheck.IntBetween("consumer_count", c.ConsumerCount, 1, 100),
		configcheck.IntBetween("max_attempts", c.MaxAttempts, 1, 1000),
		configcheck.DurationBetween("coalesce_window", c.CoalesceWindow, time.Second, 24*time.Hour),
		configcheck.DurationBetween("sweep_interval", c.SweepInterval, time.Second, 24*time.Hour),
		configcheck.DurationBetween("dedup_ttl", c.DedupTTL, c.SweepInterval, 30*24*time.Hour),
		configcheck.IntBetween("max_enqueues_per_org_per_minute", c.MaxEnqueuesPerOrgPerMinute, 1, 1_000_000),
	}
	if len(c.RequeueDelays) == 0 || len(c.RequeueDelays) > 10 {
		errs = append(errs, fmt.Errorf("requeue_delays: %d, want 1 to 10", len(c.RequeueDelays)))
	}
	for i, delay := range c.RequeueDelays {
		field := fmt.Sprintf("requeue_delays::%d", i)
		errs = append(errs, configcheck.DurationBetween(field, delay, time.Second, 7*24*time.Hour))
		if i > 0 && delay <= c.RequeueDelays[i-1] {
			errs = append(errs, fmt.Errorf("%s: %s, want more than the %s before it", field, delay,
				c.RequeueDelays[i-1]))
		}
	}
	return errors.Join(errs...)
}
