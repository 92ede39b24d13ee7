// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package extstore_test

import (
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger/extstore"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger/storetest"
)

// TestStoredJournal checks that journals of older and of the present version are read and continued.
func TestStoredJournal(t *testing.T) {
	t.Parallel()
	for file, requireLedger := range map[string]func(*testing.T, ledger.Store){
		"journal.v4.json": storetest.RequireLegacy,
		"journal.v7.json": storetest.RequireStored7,
	} {
		t.Run(file, func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(filepath.Join("testdata", file))
			require.NoError(t, err)
			var records map[string]string
			require.NoError(t, json.Unmarshal(text, &records))
			client := opened(t)
			for key, value := range records {
				record, err := hex.DecodeString(value)
				require.NoError(t, err)
				require.NoError(t, client.Set(t.Context(), key, record))
			}
			requireLedger(t, extstore.New(client, extstore.Settings{OnCorrupt: func(key string, err error) {
				t.Errorf("%s: %v", key, err)
			}}))
		})
	}
}
