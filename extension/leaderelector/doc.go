// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

// Package leaderelector is a collector extension that elects one replica as the leader: by configuration, with a lock
// in Redis or with a Lease in Kubernetes. Components use it through Lead, or through contrib's SetCallBackFuncs.
package leaderelector
