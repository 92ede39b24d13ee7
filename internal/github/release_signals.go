// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package github

import (
	"encoding/binary"
	"hash/fnv"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
)

// releaseSignalNode is a repository with its latest release and its newest releases.
type releaseSignalNode struct {
	ID     string            `json:"id"`
	Latest *releaseMark      `json:"latestRelease"`
	List   *releaseMarksList `json:"releases"`
}

// releaseMarksList has the releases that were created last, and the number of all.
type releaseMarksList struct {
	TotalCount *int64         `json:"totalCount"`
	Nodes      []*releaseMark `json:"nodes"`
}

// releaseMark is a release in a signal.
type releaseMark struct {
	DatabaseID  int64     `json:"databaseId"`
	CreatedAt   time.Time `json:"createdAt"`
	PublishedAt time.Time `json:"publishedAt"`

	// isInvalid says that a value cannot be decoded.
	isInvalid bool
}

// UnmarshalJSON implements json.Unmarshaler.
func (m *releaseMark) UnmarshalJSON(raw []byte) error {
	type plain releaseMark
	wrong, err := decodeRow(raw, (*plain)(m))
	m.isInvalid = wrong != nil
	return err
}

// published returns the publication in Unix seconds; 0 for a draft.
func (m *releaseMark) published() int64 { return max(0, m.PublishedAt.Unix()) }

// releaseListAge is how far back a part of the list has to reach to show everything that was published in a look-back.
const releaseListAge = 365 * 24 * time.Hour

// newReleaseSignals returns the signals of the repositories of a page by their node ids. Those that the credential may
// not read, or that GitHub did not return, are missing. withList says that the lists were requested.
func newReleaseSignals(nodes []*releaseSignalNode, withList bool, now time.Time) map[string]activity.ReleaseSignal {
	signals := make(map[string]activity.ReleaseSignal, len(nodes))
	for _, node := range nodes {
		if node == nil {
			continue
		}
		if signal, ok := node.signal(withList, now); ok {
			signals[node.ID] = signal
		}
	}
	return signals
}

// signal returns the signal of a repository; false when a part of it is missing.
func (n *releaseSignalNode) signal(withList bool, now time.Time) (signal activity.ReleaseSignal, ok bool) {
	if n.Latest != nil {
		if n.Latest.isInvalid {
			return signal, false
		}
		signal.Latest, signal.Published = n.Latest.DatabaseID, n.Latest.published()
	}
	if !withList {
		return signal, true
	}
	if n.List == nil || n.List.Nodes == nil || n.List.TotalCount == nil {
		return signal, false
	}
	digest := fnv.New64a()
	add := func(v int64) { _ = binary.Write(digest, binary.BigEndian, v) }
	add(*n.List.TotalCount)
	for _, mark := range n.List.Nodes {
		if mark == nil || mark.isInvalid {
			return signal, false
		}
		add(mark.DatabaseID)
		add(mark.published())
		signal.Published = max(signal.Published, mark.published())
	}
	signal.List = max(1, digest.Sum64())
	if n.List.isPart(now) {
		signal.Latest = min(-1, -signal.Latest)
	}
	return signal, true
}

// isPart reports whether releases that the list does not have may have been published lately.
func (l *releaseMarksList) isPart(now time.Time) bool {
	rows := len(l.Nodes)
	return *l.TotalCount > int64(rows) && (rows == 0 || l.Nodes[rows-1].CreatedAt.After(now.Add(-releaseListAge)))
}
