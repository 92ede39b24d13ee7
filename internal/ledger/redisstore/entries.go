// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package redisstore

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
)

// errEntry is the error of an entry's value in the hash "samples" that fails to decode.
var errEntry = fmt.Errorf("%w: an invalid entry", ledger.ErrCorrupt)

// decodeTallies returns the tallies of a hash. It reports those that fail to decode.
func (s *Store) decodeTallies(key string, fields map[string]string) []ledger.Tally {
	list := make([]ledger.Tally, 0, len(fields))
	for name, value := range fields {
		if name == markerField {
			continue
		}
		t := ledger.Tally{}
		var err, errName error
		t.Add, err = strconv.ParseUint(value, 10, 64)
		t.Name, t.Labels, errName = splitName(name)
		if err = errors.Join(err, errName); err != nil {
			s.reportCorrupt(key, strconv.Quote(name), fmt.Errorf("%w: %w", ledger.ErrCorrupt, err))
			continue
		}
		list = append(list, t)
	}
	return list
}

// decodeEntries returns the entries of a hash. It reports those that fail to decode.
func (s *Store) decodeEntries(key string, fields map[string]string) []ledger.Entry {
	list := make([]ledger.Entry, 0, len(fields))
	for name, text := range fields {
		if name == markerField {
			continue
		}
		entry, ok := parseEntry(text)
		var err error
		entry.EntryKey, err = parseEntryKey(name)
		if err != nil || !ok {
			s.reportCorrupt(key, strconv.Quote(name), errEntry)
			continue
		}
		list = append(list, entry)
	}
	return list
}

// parseEntry decodes an entry's value in the hash "samples": "observed data". It does not set the key.
func parseEntry(text string) (entry ledger.Entry, ok bool) {
	observed, data, found := strings.Cut(text, " ")
	at, ok := parseTime(observed)
	entry.Data, entry.Observed = []byte(data), at
	return entry, ok && found && len(data) <= ledger.MaxEntry
}

// parseEntryKey decodes an entry's field in the hash "samples".
func parseEntryKey(field string) (ledger.EntryKey, error) {
	name, labels, err := splitName(field)
	if err != nil {
		return ledger.EntryKey{}, err
	}
	return ledger.ParseEntryKey(name, labels)
}

// ReadEntries implements ledger.Store.
func (s *Store) ReadEntries(ctx context.Context, org string,
	keys []ledger.EntryKey,
) (map[ledger.EntryKey]ledger.Entry, error) {
	entries := make(map[ledger.EntryKey]ledger.Entry)
	if len(keys) == 0 {
		return entries, nil
	}
	k, fields := s.keys(org), make([]string, len(keys))
	for i, key := range keys {
		fields[i] = joinName(key.Name, key.Labels())
	}
	values, err := s.client.HMGet(ctx, k.entries, fields...).Result()
	if err != nil {
		return nil, fmt.Errorf("redis: read entries of %s: %w", org, err)
	}
	for i, value := range values {
		if value == nil {
			continue
		}
		entry, ok := parseEntry(replyString(value))
		if entry.EntryKey = keys[i]; !ok {
			s.reportCorrupt(k.entries, strconv.Quote(fields[i]), errEntry)
			continue
		}
		entries[keys[i]] = entry
	}
	return entries, nil
}
