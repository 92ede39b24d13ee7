// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"encoding/binary"
	"errors"
	"math"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/varint"
)

// OpenPullsKey returns the key of the entry with the open pull requests of a repository.
func OpenPullsKey(repo int64) EntryKey { return EntryKey{Name: EntryOpenPulls, Repo: repo} }

// OpenIssuesKey returns the key of the entry with the number of open issues of a repository.
func OpenIssuesKey(repo int64) EntryKey { return EntryKey{Name: EntryOpenIssues, Repo: repo} }

// StockDueKey returns the key of the entry whose time is that since which a stock has to be read again.
func StockDueKey(repo int64, s activity.Stream) EntryKey {
	return EntryKey{Name: EntryStockDue, Repo: repo, Sub: s.String()}
}

// stockVersion is the first byte of the entries with stocks, and their flags are the second one.
const (
	stockVersion  = 1
	stockTooLarge = 1
)

// The flags of an open pull request, below the number of awaited reviews.
const (
	pullDraft = 1 << iota
	pullReviewed
	pullFlagBits = iota
)

// maxAwaited bounds the awaited reviews of a pull request.
const maxAwaited = math.MaxUint16

// ErrStock is returned for data that are no stock.
var ErrStock = errors.New("not a stock")

// EncodePullStock returns the data of an entry (EntryOpenPulls):
//
//	version, flags (1 byte each) │ SeenAt, Updated │ for each pull request: its number less the one before, Created,
//	Updated less Created, and the awaited reviews with two bits for the flags
//
// Numbers are varints, times are seconds since 1970. A stock that is too large for an entry becomes one that is known
// to be so.
func EncodePullStock(s *activity.PullStock) []byte {
	data := stockHeader(s.IsTooLarge, s.SeenAt, s.Updated)
	last := int64(0)
	for i := range s.Pulls {
		p := &s.Pulls[i]
		created, updated := Unix32(p.Created), Unix32(p.Updated)
		flags := uint64(min(max(0, p.Awaited), maxAwaited)) << pullFlagBits
		if p.IsDraft {
			flags |= pullDraft
		}
		if p.IsReviewed {
			flags |= pullReviewed
		}
		data = binary.AppendUvarint(data, uint64(max(0, p.Number-last)))
		data = binary.AppendUvarint(data, uint64(created))
		data = binary.AppendUvarint(data, uint64(max(created, updated)-created))
		data = binary.AppendUvarint(data, flags)
		last = p.Number
	}
	if len(data) > MaxEntry {
		return stockHeader(true, s.SeenAt, s.Updated)
	}
	return data
}

// DecodePullStock decodes what EncodePullStock encoded. It returns ErrStock for other data.
func DecodePullStock(data []byte) (activity.PullStock, error) {
	var s activity.PullStock
	in := stockReader{readStockHeader(data, &s.IsTooLarge)}
	s.SeenAt, s.Updated = in.time(), in.time()
	for last := int64(0); in.HasMore(); {
		var p activity.OpenPull
		step := int64(in.ReadUvarint(math.MaxInt32)) //nolint:gosec // 31 bits
		p.Number = last + step
		created := in.ReadUvarint(math.MaxUint32)
		updated := created + in.ReadUvarint(math.MaxUint32)
		flags := in.ReadUvarint(maxAwaited<<pullFlagBits | (1<<pullFlagBits - 1))
		if step == 0 || updated > math.MaxUint32 || s.IsTooLarge {
			return activity.PullStock{}, ErrStock
		}
		p.Created = time.Unix(int64(created), 0).UTC() //nolint:gosec // 32 bits
		p.Updated = time.Unix(int64(updated), 0).UTC()
		p.IsDraft, p.IsReviewed = flags&pullDraft != 0, flags&pullReviewed != 0
		p.Awaited = int(flags >> pullFlagBits)
		s.Pulls, last = append(s.Pulls, p), p.Number
	}
	if !in.IsComplete() {
		return activity.PullStock{}, ErrStock
	}
	return s, nil
}

// EncodeIssueStock returns the data of an entry (EntryOpenIssues): version, flags (1 byte each) │ SeenAt, Updated,
// Open, Oldest as varints, times in seconds since 1970 and 0 for none.
func EncodeIssueStock(s *activity.IssueStock) []byte {
	data := stockHeader(s.IsTooLarge, s.SeenAt, s.Updated)
	data = binary.AppendUvarint(data, uint64(min(max(0, s.Open), math.MaxInt32)))
	return binary.AppendUvarint(data, uint64(Unix32(s.Oldest)))
}

// DecodeIssueStock decodes what EncodeIssueStock encoded. It returns ErrStock for other data.
func DecodeIssueStock(data []byte) (activity.IssueStock, error) {
	var s activity.IssueStock
	in := stockReader{readStockHeader(data, &s.IsTooLarge)}
	s.SeenAt, s.Updated = in.time(), in.time()
	s.Open = int(in.ReadUvarint(math.MaxInt32)) //nolint:gosec // 31 bits
	s.Oldest = in.time()
	if !in.IsComplete() {
		return activity.IssueStock{}, ErrStock
	}
	return s, nil
}

// stockHeader returns the beginning of a stock.
func stockHeader(tooLarge bool, seen, updated time.Time) []byte {
	data := []byte{stockVersion, 0}
	if tooLarge {
		data[1] = stockTooLarge
	}
	data = binary.AppendUvarint(data, uint64(Unix32(seen)))
	return binary.AppendUvarint(data, uint64(Unix32(updated)))
}

// readStockHeader reads the version and the flags, and returns a reader behind them. It is invalid for another version.
func readStockHeader(data []byte, tooLarge *bool) *varint.Reader {
	if len(data) < 2 || len(data) > MaxEntry || data[0] != stockVersion || data[1]&^stockTooLarge != 0 {
		in := varint.NewReader(nil)
		in.Invalidate()
		return in
	}
	*tooLarge = data[1]&stockTooLarge != 0
	return varint.NewReader(data[2:])
}

// stockReader reads a stock.
type stockReader struct{ *varint.Reader }

// time reads a time, zero for 0.
func (in stockReader) time() time.Time {
	seconds := in.ReadUvarint(math.MaxUint32)
	if seconds == 0 {
		return time.Time{}
	}
	return time.Unix(int64(seconds), 0).UTC() //nolint:gosec // 32 bits
}
