// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubexporter

import "time"

// Limits that several blocks of the configuration share. All durations in the configuration are Go durations: a bare
// number would be nanoseconds.
const (
	minInterval  = time.Second
	maxInterval  = 24 * time.Hour
	minLookback  = 24 * time.Hour   // the length of the rolling windows
	maxRetention = 9600 * time.Hour // of events, and so of every look-back
)

// Values of redis::unavailable and rabbitmq::unavailable: whether the replica waits for the server or goes on in
// memory.
const (
	unavailableWait   = "wait"
	unavailableMemory = "memory"
)
