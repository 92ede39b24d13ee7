package redisstore

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
)

// decodeTallies are the shared counters of a hash, but for those that are damaged.
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

// decodeEntries are the values of a hash, but for those that are damaged.
func (s *Store) decodeEntries(key string, fields map[string]string) []ledger.Entry {
	list := make([]ledger.Entry, 0, len(fields))
	for name, text := range fields {
		if name == markerField {
			continue
		}
		sample, ok := parseEntry(text)
		var err error
		sample.Name, sample.Labels, err = splitName(name)
		if err != nil || !ok {
			s.reportCorrupt(key, strconv.Quote(name), fmt.Errorf("%w: sample", ledger.ErrCorrupt))
			continue
		}
		list = append(list, sample)
	}
	return list
}

// parseEntry reads a value of the hash "samples".
func parseEntry(text string) (sample ledger.Entry, ok bool) {
	observed, data, whole := strings.Cut(text, " ")
	at, ok := parseTime(observed)
	sample.Data, sample.Observed = []byte(data), at
	return sample, ok && whole && len(data) <= ledger.MaxEntry
}

// ReadEntries implements ledger.Store.
func (s *Store) ReadEntries(ctx context.Context, org string,
	keys []ledger.EntryKey,
) (map[ledger.EntryKey]ledger.Entry, error) {
	found := make(map[ledger.EntryKey]ledger.Entry)
	if len(keys) == 0 {
		return found, nil
	}
	k, fields := s.keys(org), make([]string, len(keys))
	for i, key := range keys {
		fields[i] = joinName(key.Name, key.Labels)
	}
	values, err := s.client.HMGet(ctx, k.samples, fields...).Result()
	if err != nil {
		return nil, fmt.Errorf("redis: read samples of %s: %w", org, err)
	}
	for i, value := range values {
		if value == nil {
			continue
		}
		sample, ok := parseEntry(replyString(value))
		if sample.EntryKey = keys[i]; !ok {
			s.reportCorrupt(k.samples, strconv.Quote(fields[i]), fmt.Errorf("%w: sample", ledger.ErrCorrupt))
			continue
		}
		found[keys[i]] = sample
	}
	return found, nil
}
