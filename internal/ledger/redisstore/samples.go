package redisstore

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
)

// tallies are the shared counters of a hash, but for those that are damaged.
func (s *Store) tallies(key string, fields map[string]string) []ledger.Tally {
	list := make([]ledger.Tally, 0, len(fields))
	for name, value := range fields {
		if name == markField {
			continue
		}
		t := ledger.Tally{}
		var err, errName error
		t.Add, err = strconv.ParseUint(value, 10, 64)
		t.Name, t.Labels, errName = splitName(name)
		if err = errors.Join(err, errName); err != nil {
			s.corrupt(key, strconv.Quote(name), fmt.Errorf("%w: %w", ledger.ErrCorrupt, err))
			continue
		}
		list = append(list, t)
	}
	return list
}

// samples are the values of a hash, but for those that are damaged.
func (s *Store) samples(key string, fields map[string]string) []ledger.Entry {
	list := make([]ledger.Entry, 0, len(fields))
	for name, text := range fields {
		if name == markField {
			continue
		}
		sample, ok := parseSample(text)
		var err error
		sample.Name, sample.Labels, err = splitName(name)
		if err != nil || !ok {
			s.corrupt(key, strconv.Quote(name), fmt.Errorf("%w: sample", ledger.ErrCorrupt))
			continue
		}
		list = append(list, sample)
	}
	return list
}

// parseSample reads a value of the hash "samples".
func parseSample(text string) (sample ledger.Entry, ok bool) {
	observed, data, whole := strings.Cut(text, " ")
	at, ok := parseStamp(observed)
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
		sample, ok := parseSample(text(value))
		if sample.EntryKey = keys[i]; !ok {
			s.corrupt(k.samples, strconv.Quote(fields[i]), fmt.Errorf("%w: sample", ledger.ErrCorrupt))
			continue
		}
		found[keys[i]] = sample
	}
	return found, nil
}
