// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubexporter

import (
	"errors"
	"fmt"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/confmap"

	"github.com/seed-358c4d9d/githubexporter/internal/backfill/rabbitqueue"
	"github.com/seed-358c4d9d/githubexporter/internal/configcheck"
	"github.com/seed-358c4d9d/githubexporter/receiver/githubexporter/internal/metadata"
)

// Limits of settings of the top level; those that the blocks use, too, are in config_limits.go.
const (
	minReconcile = 10 * time.Minute
	minRetention = 336 * time.Hour // the last complete week begins at most two weeks ago
	maxSeries    = 100_000_000
)

// Config is the receiver's configuration.
type Config struct {
	// The settings that mdatagen generates:
	//   - metrics: Switches metrics on and off, by their names in documentation.md. Default: all on but the
	//     windows of 30 days.
	//   - resource_attributes: Switches resource attributes off: service.instance.id is the only one. Default: on.
	metadata.MetricsBuilderConfig `mapstructure:",squash"`

	// LeaderElection is the id of an extension that elects the leader, such as leader_elector, or contrib's
	// k8s_leader_elector, which has no fences. Needs redis. Default: none, this process leads.
	LeaderElection *component.ID `mapstructure:"leader_election"`
	// Leadership is receiver (one leader for all organizations) or org (one for each, spread over the replicas): see
	// docs/high-availability.md.
	Leadership string `mapstructure:"leadership"`
	// Orgs are the organizations to read, each in a loop of its own. Default: required, at least one.
	Orgs []OrgConfig `mapstructure:"orgs"`
	// GitHub configures the requests to GitHub: its limits are in docs/github.md.
	GitHub GitHubConfig `mapstructure:"github"`
	// LOC configures the source of the weekly lines. Both sources, their cost and coverage: docs/lines.md.
	LOC LOCConfig `mapstructure:"loc"`
	// Flow configures the durations and sizes of pull requests and issues. What they measure: docs/flow.md.
	Flow FlowConfig `mapstructure:"flow"`
	// Copilot configures the Copilot usage reports of all organizations, and those of an enterprise. What the metrics
	// mean, permissions and states: docs/copilot.md.
	Copilot CopilotConfig `mapstructure:"copilot"`
	// Teams selects the teams whose members are shown, for numbers by team. What a join counts: docs/teams.md.
	Teams TeamsConfig `mapstructure:"teams"`
	// VCS bounds the metrics of the semantic conventions for version control systems, vcs.*, which are off by default:
	// docs/vcs.md.
	VCS VCSConfig `mapstructure:"vcs"`
	// Actors configures the label user, and which users are shown. What to consider: docs/privacy.md.
	Actors ActorsConfig `mapstructure:"actors"`
	// RepositoryLabels adds labels to gh_repo_info: docs/repositories.md.
	RepositoryLabels RepositoryLabelsConfig `mapstructure:"repository_labels"`
	// Storage is the id of a storage extension, such as file_storage, that keeps the state across restarts. Not
	// together with leader_election or redis. Empty, and no redis: the state is in memory, and a restart reads the
	// look-back again.
	Storage string `mapstructure:"storage"`
	// Redis configures the store that all replicas share. Without endpoints the store is in the process. What Redis
	// must provide: docs/redis.md.
	Redis RedisConfig `mapstructure:"redis"`
	// RabbitMQ is the queue of backfill jobs. Without an endpoint the queue is in the process of the leader.
	RabbitMQ RabbitMQConfig `mapstructure:"rabbitmq"`
	// Backfill configures the jobs that read gaps. How a missed window is read: docs/backfill.md.
	Backfill BackfillConfig `mapstructure:"backfill"`
	// ReconcileInterval is the time between two reconciliations, which read the last 24 h of recently active
	// repositories again, whatever their signals are. 0s: never.
	ReconcileInterval time.Duration `mapstructure:"reconcile_interval"`
	// Retention is the age at which events are pruned. A user without newer events is shown with zeros until then, and
	// then no longer.
	Retention time.Duration `mapstructure:"retention"`
	// MaxSeries bounds the series, users in repositories, of all organizations; events of further ones are counted for
	// the user _other.
	MaxSeries int `mapstructure:"max_series"`
	// EmitInterval is the time between two emissions of the metrics into the pipeline.
	EmitInterval time.Duration `mapstructure:"emit_interval"`
	// EmitFrom is all (every replica emits the same, as Prometheus expects) or leader (one copy, for push backends).
	// Every replica emits the metrics about itself either way: docs/own-metrics.md.
	EmitFrom string `mapstructure:"emit_from"`
	// Counters configures how the sums of events start.
	Counters CountersConfig `mapstructure:"counters"`
	// Snapshot is incremental (the view follows each change of the store) or full (it is loaded from Redis as a whole
	// at each emission).
	Snapshot string `mapstructure:"snapshot"`

	_ struct{}
}

// Values of leadership, emit_from and snapshot; see the fields of Config.
const (
	leadershipReceiver  = "receiver"
	leadershipOrg       = "org"
	emitFromAll         = "all"
	emitFromLeader      = "leader"
	snapshotIncremental = "incremental"
	snapshotFull        = "full"
)

func createDefaultConfig() component.Config {
	return &Config{
		MetricsBuilderConfig: metadata.NewDefaultMetricsBuilderConfig(),
		GitHub:               defaultGitHub(),
		LOC:                  defaultLOC(),
		Flow:                 defaultFlow(),
		Copilot:              defaultCopilot(),
		Teams:                defaultTeams(),
		Leadership:           leadershipReceiver,
		Redis:                defaultRedis(),
		RabbitMQ:             defaultRabbitMQ(),
		Backfill:             defaultBackfill(),
		VCS:                  defaultVCS(),
		Actors:               defaultActors(),
		ReconcileInterval:    6 * time.Hour,
		Retention:            720 * time.Hour,
		MaxSeries:            500_000,
		EmitInterval:         30 * time.Second,
		EmitFrom:             emitFromAll,
		Snapshot:             snapshotIncremental,
	}
}

// Unmarshal reads the configuration. It refuses unknown keys and wrong values with an error that has the allowed ones.
func (c *Config) Unmarshal(conf *confmap.Conf) error {
	if err := configcheck.CheckKeys(conf.ToStringMap(), c); err != nil {
		return err
	}
	if err := conf.Unmarshal(c, confmap.WithIgnoreUnused()); err != nil {
		return err
	}
	c.Redis.TrimLineEnds()
	if plain := c.RabbitMQ.Auth.Plain; plain != nil {
		configcheck.TrimLineEnds(&plain.Username)
		configcheck.TrimLineEnds(&plain.Password)
	}
	return c.checkAddresses()
}

// checkAddresses refuses addresses that may hold a password. Reading refuses them, not Validate alone: a configuration
// that was read can be printed.
func (c *Config) checkAddresses() error {
	_, err := c.RabbitMQ.address()
	return errors.Join(
		configcheck.PrefixPath("github", c.GitHub.checkAddresses()),
		configcheck.PrefixPath("redis", c.Redis.CheckAddresses()),
		configcheck.PrefixPath("rabbitmq", err))
}

// Validate checks the settings of the top level and those that depend on each other. Nested blocks have their own
// Validate.
func (c *Config) Validate() error {
	var errs []error
	if len(c.Orgs) == 0 {
		errs = append(errs, errors.New("orgs: the list is empty, want at least one organization"))
	}
	errs = append(errs, c.validateOrgs()...)
	errs = append(errs,
		validStorage(c.Storage),
		c.validateReplicas(),
		c.validateQueues(),
		c.validateCopilot(),
		c.validateTeams(),
		configcheck.OneOf("leadership", c.Leadership, leadershipReceiver, leadershipOrg),
		configcheck.OneOf("emit_from", c.EmitFrom, emitFromAll, emitFromLeader),
		configcheck.OneOf("snapshot", c.Snapshot, snapshotIncremental, snapshotFull),
		configcheck.DurationBetween("retention", c.Retention, minRetention, maxRetention),
		configcheck.DurationBetween("emit_interval", c.EmitInterval, minInterval, maxInterval),
		c.Counters.validate(c.EmitInterval),
		c.RepositoryLabels.validate(),
		configcheck.IntBetween("max_series", c.MaxSeries, 1, maxSeries))
	if c.ReconcileInterval != 0 && c.ReconcileInterval < minReconcile {
		errs = append(errs, fmt.Errorf("reconcile_interval: %s, want 0s (never) or at least %s", c.ReconcileInterval,
			minReconcile))
	}
	return errors.Join(errs...)
}

// validateReplicas refuses combinations of stores, and stores that replicas cannot share.
func (c *Config) validateReplicas() error {
	switch {
	case c.Storage != "" && c.Redis.Enabled():
		return fmt.Errorf("storage: %q together with redis, want one of them", c.Storage)
	case c.Storage != "" && c.LeaderElection != nil:
		return fmt.Errorf("storage: %q together with leader_election, want redis: a storage extension belongs to "+
			"one process and cannot refuse a leader of the past", c.Storage)
	case c.LeaderElection != nil && !c.Redis.Enabled():
		return errors.New(
			"leader_election: without redis, want redis::endpoints: replicas need a state that they share")
	default:
		return nil
	}
}

// maxQueueName is the limit of AMQP for the name of a queue in bytes.
const maxQueueName = 255

// validateQueues refuses names of queues that are too long, or not unique, with the names of the organizations behind
// them.
func (c *Config) validateQueues() error {
	var errs []error
	for i := range c.Orgs {
		name := rabbitqueue.OrgQueue(c.RabbitMQ.Queue, c.Orgs[i].key())
		switch {
		case name == c.RabbitMQ.DeadLetterQueue:
			errs = append(errs, fmt.Errorf(
				"rabbitmq::dead_letter_queue: %q is the queue of the organization %s, want another name", name,
				c.Orgs[i].Name))
		case len(name) > maxQueueName:
			errs = append(errs, fmt.Errorf(
				"rabbitmq::queue: %d bytes long with the name of the organization %s behind it, want at most %d",
				len(name), c.Orgs[i].Name, maxQueueName))
		}
	}
	return errors.Join(errs...)
}

// validStorage refuses a storage that is not the id of a component.
func validStorage(storage string) error {
	if storage == "" {
		return nil
	}
	var id component.ID
	if err := id.UnmarshalText([]byte(storage)); err != nil {
		return fmt.Errorf("storage: %q, want the id of a storage extension such as file_storage: %w", storage, err)
	}
	return nil
}

// validateOrgs refuses organizations that stand twice, and look-backs beyond the retention.
func (c *Config) validateOrgs() []error {
	var errs []error
	first := make(map[string]int)
	for i := range c.Orgs {
		org := &c.Orgs[i]
		if j, twice := first[org.key()]; twice && org.Name != "" {
			errs = append(errs, fmt.Errorf(
				"orgs::%d::name: %q is the organization of orgs::%d, want each only once (GitHub ignores case)", i,
				org.Name, j))
		} else {
			first[org.key()] = i
		}
		if org.Lookback > c.Retention {
			errs = append(errs, fmt.Errorf("orgs::%d::lookback: %s, want at most the retention of %s", i, org.Lookback,
				c.Retention))
		}
	}
	return errs
}
