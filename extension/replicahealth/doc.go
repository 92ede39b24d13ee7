// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

// Package replicahealth is a collector extension that serves /livez, /readyz and /healthz on one port. It reads the
// component status of the collector, and the health reports among its attributes.
package replicahealth
