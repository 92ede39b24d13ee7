// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubexporter

import (
	"context"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"github.com/seed-358c4d9d/githubexporter/internal/github"
	"github.com/seed-358c4d9d/githubexporter/internal/health"
)

func newCooldown(config *Config, monitor *health.Monitor) *health.Cooldown {
	c := &config.GitHub.Health
	return health.NewCooldown(health.CooldownSettings{
		Failures: c.FailureThreshold, Pause: c.Cooldown, Probes: c.RecoverThreshold,
		NumOrgs: func() int { return minAffectedOrgs(config, monitor) },
	})
}

// minAffectedOrgs returns the number of organizations whose requests must fail before a cooldown begins: two where this
// replica reads that many, one where it leads a single one because leadership is divided.
func minAffectedOrgs(config *Config, monitor *health.Monitor) int {
	leads := 0
	for i := range config.Orgs {
		if monitor.Leads(config.Orgs[i].Name) {
			leads++
		}
	}
	if leads == 1 {
		return 1
	}
	return min(2, len(config.Orgs))
}

// observeResponse notes whether GitHub had a usable answer to a question of an organization. All of them are behind one
// address and share its condition.
func (r *githubReceiver) observeResponse(org string, reply *github.RequestResult) {
	q := health.Request{Org: org, API: string(reply.Resource), Repo: reply.RepoID}
	begun := r.cooldown.RecordRequest(q, reply.Err, time.Now())
	if begun == nil {
		return
	}
	r.settings.Logger.Warn("Too many consecutive GitHub requests failed; pausing requests. Metrics keep their "+
		"last values.",
		zap.String("org", org), zap.String("api", begun.API), zap.Int("consecutive_failures", begun.Failures),
		zap.Int("repositories", begun.Repositories), zap.Duration("cooldown", r.config.GitHub.Health.Cooldown),
		zap.Error(begun.Cause))
}

// probeGitHub asks whether GitHub answers again, when it is time to. One credential that is answered is enough. While
// there is no cooldown it asks for organizations that GitHub left without an answer, for the reason may be another one
// by now.
func (r *githubReceiver) probeGitHub(ctx context.Context) {
	if r.cooldown.Err() == nil {
		r.probeUnavailableOrgs(ctx)
		return
	}
	if !r.cooldown.IsProbeDue(time.Now()) {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	var trouble error
	for _, org := range r.orgs {
		if trouble = org.client.Probe(ctx); trouble == nil || ctx.Err() != nil {
			break
		}
	}
	if r.cooldown.RecordProbe(trouble) {
		r.settings.Logger.Info("GitHub responds again; resuming requests.")
		return
	}
	for _, org := range r.orgs {
		if cooling := r.cooldown.Err(); cooling != nil {
			r.replaceReason(org, cooling)
		}
	}
}

// probeUnavailableOrgs asks for each organization that has no answer why that is. An answer that is good says nothing:
// what was not answered was another question.
func (r *githubReceiver) probeUnavailableOrgs(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	var asking errgroup.Group
	asking.SetLimit(maxConcurrentChecks)
	for _, org := range r.orgs {
		if !r.readErrors.isUnavailable(org.name) {
			continue
		}
		asking.Go(func() error {
			if trouble := org.client.Probe(ctx); trouble != nil && ctx.Err() == nil {
				r.replaceReason(org, trouble)
			}
			return nil
		})
	}
	_ = asking.Wait() // the reasons were noted
}

// replaceReason shows why an organization has no answer from GitHub.
func (r *githubReceiver) replaceReason(org *organization, trouble error) {
	r.readErrors.replace(org.name, trouble)
	r.access.recordRequestError(org.name, trouble)
}
