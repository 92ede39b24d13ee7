// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

// Package flow makes events of what is known of a pull request or an issue: how long its steps took, and how large it
// was. It has no clock and does no I/O. Each event has an identity that does not depend on when, how often or by whom
// it was read, and its measures are functions of the history before it, so that a reading that is repeated, late or
// concurrent records the same.
package flow
