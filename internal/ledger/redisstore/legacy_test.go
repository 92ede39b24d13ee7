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

// TestLegacyLedger: keys that the version before frames of version 7 wrote are read, and go on in the present form.
func TestLegacyLedger(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join("testdata", "ledger.v4.json"))
	require.NoError(t, err)
	var keys map[string]legacyKey
	require.NoError(t, json.Unmarshal(text, &keys))
	client := redistest.Start(t).Client()
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
	storetest.RequireLegacy(t, redisstore.New(client, redisstore.Settings{
		Prefix: "gx", Now: time.Now, OnCorrupt: func(key string, err error) { t.Errorf("%s: %v", key, err) },
	}))
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
