// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package redisstore_test

import (
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger/redisstore"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger/storetest"
	"github.com/seed-358c4d9d/githubexporter/internal/redistest"
)

// legacyKey is a key of Redis as it was written: fields and values, or members, in hexadecimal, and entries of a log,
// each an id with fields and values.
type legacyKey struct {
	Type   string     `json:"type"`
	Values []string   `json:"values"`
	Log    [][]string `json:"log"`
}

// TestStoredLedger checks that keys that older versions and the present one wrote are read and continued.
func TestStoredLedger(t *testing.T) {
	t.Parallel()
	for file, requireLedger := range map[string]func(*testing.T, ledger.Store){
		"ledger.v4.json": storetest.RequireLegacy,
		"ledger.v7.json": storetest.RequireStored7,
	} {
		t.Run(file, func(t *testing.T) {
			t.Parallel()
			client := redistest.Start(t).Client()
			restoreKeys(t, client, file)
			settings := redisstore.Settings{Prefix: "gx", Now: time.Now, OnCorrupt: func(key string, err error) {
				t.Errorf("%s: %v", key, err)
			}}
			requireLedger(t, redisstore.New(client, settings))
		})
	}
}

// restoreKeys writes the keys of a file in testdata.
func restoreKeys(t *testing.T, client redis.UniversalClient, file string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", file))
	require.NoError(t, err)
	var keys map[string]legacyKey
	require.NoError(t, json.Unmarshal(text, &keys))
	for name, key := range keys {
		switch key.Type {
		case "hash":
			require.NoError(t, client.HSet(t.Context(), name, plainTexts(t, key.Values)...).Err())
		case "set":
			require.NoError(t, client.SAdd(t.Context(), name, plainTexts(t, key.Values)...).Err())
		case "stream":
			for _, entry := range key.Log {
				add := &redis.XAddArgs{Stream: name, ID: entry[0], Values: plainTexts(t, entry[1:])}
				require.NoError(t, client.XAdd(t.Context(), add).Err())
			}
		default:
			require.Fail(t, "a key of another type", "%s: %s", name, key.Type)
		}
	}
}

func plainTexts(t *testing.T, list []string) []any {
	t.Helper()
	texts := make([]any, len(list))
	for i, value := range list {
		text, err := hex.DecodeString(value)
		require.NoError(t, err)
		texts[i] = string(text)
	}
	return texts
}
