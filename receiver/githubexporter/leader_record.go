// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubexporter

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
)

// entryLeader is the entry that says which lease leads an organization. Each term writes it with its first commit,
// and a leader that has nothing else to write repeats it. Its data is a leaderRecord.
var entryLeader = ledger.EntryKey{Name: ledger.EntryLeader}

// leaderRecord is the data of entryLeader, in JSON.
type leaderRecord struct {
	Lease    string `json:"lease"`
	Identity string `json:"identity"`
	// Fence is that of the term: a leader that does not record itself has a newer one.
	Fence uint64 `json:"fence,string"`
}

// maxLeaderField bounds the texts of a leaderRecord in bytes.
const maxLeaderField = 512

// leaderEntry returns the entry of a replica that leads an organization.
func leaderEntry(record leaderRecord, at time.Time) (ledger.Entry, error) {
	data, err := json.Marshal(record)
	if err != nil {
		return ledger.Entry{}, fmt.Errorf("encode the leader: %w", err)
	}
	return ledger.Entry{EntryKey: entryLeader, Data: data, Observed: at}, nil
}

func decodeLeader(data []byte) (leaderRecord, error) {
	var record leaderRecord
	if err := json.Unmarshal(data, &record); err != nil {
		return leaderRecord{}, fmt.Errorf("%w: the leader: %w", ledger.ErrCorrupt, err)
	}
	if len(record.Lease) > maxLeaderField || len(record.Identity) > maxLeaderField {
		return leaderRecord{}, fmt.Errorf("%w: the leader: a text of more than %d bytes", ledger.ErrCorrupt,
			maxLeaderField)
	}
	return record, nil
}
