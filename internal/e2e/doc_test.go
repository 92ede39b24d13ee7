// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

// Package e2e tests the product as its users have it: the collector that ocb built, as a process of its own, reading a
// scripted GitHub, scraped by a real Prometheus. `make test` builds the collector and fetches Prometheus.
package e2e
