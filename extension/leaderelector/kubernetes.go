// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package leaderelector

import (
	"context"
	"fmt"

	"github.com/seed-358c4d9d/githubexporter/internal/election"
	"github.com/seed-358c4d9d/githubexporter/internal/election/kubelease"
)

// openKubernetes opens the backend of Lease objects. After an error there is no election: no replica leads.
func (e *elector) openKubernetes() (backend, error) {
	client, namespace, err := kubelease.Connect(kubelease.Connection{
		Kubeconfig:    e.config.Kubernetes.Kubeconfig,
		Namespace:     e.config.Kubernetes.Namespace,
		RenewDeadline: e.config.RenewDeadline,
	})
	if err != nil {
		return nil, fmt.Errorf("kubernetes: %w", err)
	}
	elector := kubelease.New(client, kubelease.Settings{
		Namespace: namespace, LeaseName: e.config.Kubernetes.LeaseName, Identity: e.identity,
		LeaseDuration: e.config.LeaseDuration, RenewDeadline: e.config.RenewDeadline, RetryPeriod: e.config.RetryPeriod,
		OnState: e.status.onBackend, OnHeld: e.status.onHeld,
	})
	e.leaseName = elector.LeaseName
	return &reportingBackend{status: &e.status, backend: elector}, nil
}

// checkLeaseName returns an error for a name that a Lease cannot have.
func checkLeaseName(name string) error {
	if err := kubelease.CheckLeaseName(name); err != nil {
		return fmt.Errorf("lease_name: %w", err)
	}
	return nil
}

// reportingBackend reports the terms of a backend without hooks.
type reportingBackend struct {
	backend
	status *statusReporter
}

// Lead implements backend.
func (r *reportingBackend) Lead(ctx context.Context, name string, work func(context.Context, uint64) error) error {
	return r.backend.Lead(ctx, name, func(ctx context.Context, fence uint64) error {
		term := election.Term{Name: name, Fence: fence}
		r.status.onTermStart(term)
		err := work(ctx, fence)
		r.status.onTermEnd(term, context.Cause(ctx))
		return err
	})
}
