// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package validate

import (
	"fmt"
	"time"
)

const (
	// noticeableSkew is the difference of two clocks from which on there is a warning. A Date header has whole seconds.
	noticeableSkew = 5 * time.Second
	// maxSkew is the difference from which on GitHub refuses the tokens of Apps.
	maxSkew = time.Minute
)

// clockResult returns what the difference to another clock means.
func clockResult(skew time.Duration, of string) (status Status, reason, action string) {
	const want = "synchronize the clock of this machine, such as with NTP"
	text := fmt.Sprintf("the clock of %s differs by %s", of, skew.Abs().Round(100*time.Millisecond))
	switch {
	case skew.Abs() >= maxSkew:
		return StatusFail, text, want
	case skew.Abs() >= noticeableSkew:
		return StatusWarn, text, want
	default:
		return StatusOK, text, ""
	}
}
