// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

//go:build integration && !race

package collect

// raceDetector says that the race detector is on.
const raceDetector = false
