package leaderelector

import (
	"context"
	"fmt"

	"github.com/seed-358c4d9d/githubexporter/internal/election"
	"github.com/seed-358c4d9d/githubexporter/internal/election/kubelease"
)

// openKubernetes makes a backend on Lease objects. Without a client there is no election: nobody leads.
func (e *elector) openKubernetes() (leader, error) {
	client, namespace, err := kubelease.Connect(kubelease.Connection{
		Kubeconfig: e.config.Kubernetes.Kubeconfig, Namespace: e.config.Kubernetes.Namespace, RenewDeadline: e.config.RenewDeadline,
	})
	if err != nil {
		return nil, fmt.Errorf("kubernetes: %w", err)
	}
	elector := kubelease.New(client, kubelease.Settings{
		Namespace: namespace, LeaseName: e.config.Kubernetes.LeaseName, Identity: e.identity,
		LeaseDuration: e.config.LeaseDuration, RenewDeadline: e.config.RenewDeadline, RetryPeriod: e.config.RetryPeriod,
		OnState: e.reports.reached, OnHeld: e.reports.held,
	})
	e.leaseName = elector.LeaseName
	return &reporting{reports: &e.reports, leader: elector}, nil
}

// checkLeaseName refuses a name that a Lease cannot have.
func checkLeaseName(name string) error {
	if err := kubelease.CheckLeaseName(name); err != nil {
		return fmt.Errorf("lease_name: %w", err)
	}
	return nil
}

// reporting tells of the terms of a backend that has no hooks.
type reporting struct {
	leader
	reports *reports
}

// Lead reports each term.
func (r *reporting) Lead(ctx context.Context, name string, work func(context.Context, uint64) error) error {
	return r.leader.Lead(ctx, name, func(ctx context.Context, fence uint64) error {
		term := election.Term{Name: name, Fence: fence}
		r.reports.began(term)
		err := work(ctx, fence)
		r.reports.ended(term, context.Cause(ctx))
		return err
	})
}
