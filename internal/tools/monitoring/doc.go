// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

// Package monitoring has the tests of the files in deploy/prometheus: the rules, the alerts and the mixin. It is a
// module of its own, because it needs Prometheus's parser and Jsonnet.
package monitoring
