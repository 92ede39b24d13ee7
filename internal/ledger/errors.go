// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import "errors"

// ErrFenced refuses the write of a leader whose term is over.
var ErrFenced = errors.New("refused: written in an old term of leadership")

// ErrReplaced refuses a batch that builds on a coverage of which the store has lost a part since it was read, as Redis
// does in a failover or when it evicts keys. The reader starts over with the present coverage.
var ErrReplaced = errors.New("refused: the store lost records since the coverage was read")

// ErrCorrupt is the error of a stored value or message that differs from what was written.
var ErrCorrupt = errors.New("corrupt record")
