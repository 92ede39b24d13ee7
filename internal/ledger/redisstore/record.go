// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package redisstore

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
)

// A record of an event in the log. Records follow each other without a separator:
//
//	key    kind (1 byte) │ repository (uvarint) │ length of the id (1 byte) │ id without leading zeros
//	body   time (4 bytes, big endian, Unix seconds) │ number of measures (1 byte) │ each measure (uvarint)
//	actor  account (zigzag varint) │ length of the login (1 byte) │ login
//
// The measures are those of the kind in its order (ledger.MeasuresOf). The key is a member of the set "seen" and a
// field of the hash "removed"; a repository (uvarint) and an actor are the field of a series. In an entry's field "e",
// which earlier versions wrote, a body has two numbers of lines and no number of measures.

func appendKey(b []byte, k activity.Key) []byte {
	b = append(b, byte(k.Kind))
	b = binary.AppendUvarint(b, uint64(k.Repo)) //nolint:gosec // positive in valid events
	id := k.ID[:]
	for len(id) > 0 && id[0] == 0 {
		id = id[1:]
	}
	b = append(b, byte(len(id))) //nolint:gosec // at most 20
	return append(b, id...)
}

func appendBody(b []byte, e *activity.Event) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(e.Time.Unix())) //nolint:gosec // fits for valid events
	measures := ledger.EventMeasures(e)
	b = append(b, byte(len(measures))) //nolint:gosec // at most maxMeasures
	for _, m := range measures {
		b = binary.AppendUvarint(b, m)
	}
	return b
}

func appendActor(b []byte, a activity.Actor) []byte {
	b = binary.AppendVarint(b, a.ID)
	b = append(b, byte(len(a.Login))) //nolint:gosec // at most 255 in valid actors
	return append(b, a.Login...)
}

func appendRepo(b []byte, repo int64) []byte {
	return binary.AppendUvarint(b, uint64(repo)) //nolint:gosec // positive in valid events
}

// markerField is the field, or member, with the epoch of the ledger to which a key belongs: see scripts/integrity.lua.
// No record starts with it.
const markerField = "\x00"

var errTruncated = errors.New("the record is truncated")

// recordReader decodes records. It shares the texts of equal actors. Its zero value is ready for use. It is not safe
// for concurrent use.
type recordReader struct {
	actors map[string]activity.Actor
}

// decodeEntry appends the events of a log entry to list. It stops at the first record that fails to decode.
func (r *recordReader) decodeEntry(list []activity.Event, entry redis.XMessage) ([]activity.Event, error) {
	list, err := r.decodeRecords(list, entryField(entry, "n"), decodeMeasures)
	if err != nil {
		return list, err
	}
	return r.decodeRecords(list, entryField(entry, "e"), decodeLegacyLines)
}

func (r *recordReader) decodeRecords(
	list []activity.Event, data string, body func(data string) ([]uint64, string, error),
) ([]activity.Event, error) {
	for data != "" {
		e, tail, err := r.decodeRecord(data, body)
		if err != nil {
			return list, fmt.Errorf("%w: %w", ledger.ErrCorrupt, err)
		}
		list, data = append(list, e), tail
	}
	return list, nil
}

func (r *recordReader) decodeRecord(
	data string, body func(data string) ([]uint64, string, error),
) (e activity.Event, tail string, err error) {
	key, data, err := decodeKey(data)
	if err != nil || len(data) < 4 {
		return e, "", errTruncated
	}
	e.Kind, e.Repo, e.ID = key.Kind, key.Repo, key.ID
	e.Time = time.Unix(int64(data[0])<<24|int64(data[1])<<16|int64(data[2])<<8|int64(data[3]), 0).UTC()
	numbers, data, err := body(data[4:])
	if err != nil {
		return e, "", err
	}
	if err := ledger.SetMeasures(&e, numbers); err != nil {
		return e, "", err
	}
	e.Actor, tail, err = r.decodeActor(data)
	if err != nil {
		return e, "", err
	}
	return e, tail, e.Validate()
}

// decodeKey decodes the key at the start of data. It does not check the kind and the repository.
func decodeKey(data string) (k activity.Key, tail string, err error) {
	if data == "" {
		return k, "", errTruncated
	}
	k.Kind = activity.Kind(data[0])
	repo, data, err := decodeUvarint(data[1:])
	if err != nil || data == "" {
		return k, "", errTruncated
	}
	n := int(data[0])
	if n > len(k.ID) || len(data) < 1+n {
		return k, "", errTruncated
	}
	copy(k.ID[len(k.ID)-n:], data[1:1+n])
	k.Repo = int64(repo) //nolint:gosec // callers check
	return k, data[1+n:], nil
}

// decodeKeys decodes keys that follow each other, up to the first invalid one.
func decodeKeys(data string) ([]activity.Key, error) {
	var list []activity.Key
	for data != "" {
		key, tail, err := decodeKey(data)
		if err != nil || key.Repo <= 0 || !key.Kind.IsValid() {
			return list, fmt.Errorf("%w: an invalid key", ledger.ErrCorrupt)
		}
		list, data = append(list, key), tail
	}
	return list, nil
}

// maxMeasures limits the measures of a record.
const maxMeasures = 32

// decodeMeasures decodes measures after their number.
func decodeMeasures(data string) ([]uint64, string, error) {
	if data == "" || data[0] > maxMeasures {
		return nil, "", errTruncated
	}
	return decodeUvarints(data[1:], int(data[0]))
}

// decodeLegacyLines decodes the two numbers of lines of a record of earlier versions.
func decodeLegacyLines(data string) ([]uint64, string, error) { return decodeUvarints(data, 2) }

func decodeUvarints(data string, n int) (list []uint64, tail string, err error) {
	for range n {
		var number uint64
		if number, data, err = decodeUvarint(data); err != nil {
			return nil, "", err
		}
		list = append(list, number)
	}
	return list, data, nil
}

// decodeActor decodes the actor at the start of data.
func (r *recordReader) decodeActor(data string) (actor activity.Actor, tail string, err error) {
	id, after, err := decodeVarint(data)
	if err != nil || after == "" {
		return actor, "", errTruncated
	}
	n := 1 + int(after[0])
	if len(after) < n {
		return actor, "", errTruncated
	}
	encoded := data[:len(data)-len(after)+n]
	if shared, ok := r.actors[encoded]; ok {
		return shared, after[n:], nil
	}
	actor = activity.Actor{ID: id, Login: strings.Clone(after[1:n])}
	if r.actors == nil {
		r.actors = make(map[string]activity.Actor)
	}
	r.actors[strings.Clone(encoded)] = actor
	return actor, after[n:], nil
}

func decodeUvarint(data string) (uint64, string, error) {
	var v uint64
	for i := 0; i < len(data) && i < binary.MaxVarintLen64; i++ {
		c := data[i]
		v |= uint64(c&0x7f) << (7 * i)
		if c < 0x80 {
			return v, data[i+1:], nil
		}
	}
	return 0, "", errTruncated
}

func decodeVarint(data string) (int64, string, error) {
	v, tail, err := decodeUvarint(data)
	return int64(v>>1) ^ -int64(v&1), tail, err
}

// seriesField returns the field of a series in the hashes "series" and "carried".
func seriesField(repo int64, actor activity.Actor) string {
	return string(appendActor(appendRepo(nil, repo), actor))
}

// parseSeriesRepo returns the id of the repository of a series' field.
func parseSeriesRepo(field string) (int64, bool) {
	repo, _, err := decodeUvarint(field)
	return int64(repo), err == nil && repo > 0 && repo <= math.MaxInt64 //nolint:gosec // checked
}

// decodeCarried decodes a field of the hash "carried" and its value.
func (r *recordReader) decodeCarried(field, value string) (c ledger.CarriedTotals, err error) {
	repo, tail, err := decodeUvarint(field)
	if err != nil {
		return c, fmt.Errorf("%w: %w", ledger.ErrCorrupt, err)
	}
	c.Repo = int64(repo) //nolint:gosec // checked below
	c.Actor, tail, err = r.decodeActor(tail)
	if err != nil || tail != "" || c.Repo <= 0 || c.Actor.Validate() != nil {
		return c, fmt.Errorf("%w: carried totals of a series", ledger.ErrCorrupt)
	}
	return c, parseTotals(value, &c)
}

// formatTotals returns totals as they are stored and as the carry script reads them: "id:value id:value ...", with the
// ids of ledger.TotalID in decimal, without the totals that are 0.
func formatTotals(totals *ledger.CarriedTotals) string {
	var b strings.Builder
	for id, value := range totals.All {
		if b.Len() > 0 {
			b.WriteByte(' ')
		}
		fmt.Fprintf(&b, "%d:%d", id, value)
	}
	return b.String()
}

// parseTotals decodes what formatTotals returned, and the values without ids that earlier versions stored, in the order
// of ledger.LegacyTotalIDs.
func parseTotals(text string, totals *ledger.CarriedTotals) error {
	list := strings.Fields(text)
	legacy := !strings.Contains(text, ":")
	if legacy && len(list) != len(ledger.LegacyTotalIDs()) {
		return fmt.Errorf("%w: %d totals", ledger.ErrCorrupt, len(list))
	}
	for i, value := range list {
		id := uint64(ledger.LegacyTotalIDs()[min(i, len(ledger.LegacyTotalIDs())-1)])
		if !legacy {
			name, tail, _ := strings.Cut(value, ":")
			value = tail
			var err error
			if id, err = strconv.ParseUint(name, 10, 16); err != nil {
				return fmt.Errorf("%w: %w", ledger.ErrCorrupt, err)
			}
		}
		n, err := strconv.ParseUint(value, 10, 64)
		if err != nil {
			return fmt.Errorf("%w: %w", ledger.ErrCorrupt, err)
		}
		totals.Set(ledger.TotalID(id), n)
	}
	return nil
}

// Names with labels are one field. Their separator is a character that no label has.
const separator = "\x1f"

// joinName returns the field of a tally or of an entry: its name and labels with separators.
func joinName(name string, labels [2]string) string {
	return name + separator + labels[0] + separator + labels[1]
}

// splitName decodes what joinName encoded.
func splitName(field string) (name string, labels [2]string, err error) {
	parts := strings.Split(field, separator)
	if len(parts) != 3 {
		return "", labels, fmt.Errorf("%w: a name with %d parts", ledger.ErrCorrupt, len(parts))
	}
	return parts[0], [2]string{parts[1], parts[2]}, nil
}
