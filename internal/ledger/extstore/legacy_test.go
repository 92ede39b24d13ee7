package extstore_test

import (
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/ledger/extstore"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger/storetest"
)

// TestLegacyJournal: a journal of frames of version 4 is read, and goes on in the present form.
func TestLegacyJournal(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join("testdata", "journal.v4.json"))
	require.NoError(t, err)
	var records map[string]string
	require.NoError(t, json.Unmarshal(text, &records))
	client := opened(t)
	for key, value := range records {
		record, err := hex.DecodeString(value)
		require.NoError(t, err)
		require.NoError(t, client.Set(t.Context(), key, record))
	}
	storetest.RequireLegacy(t, extstore.New(client, extstore.Settings{OnCorrupt: func(key string, err error) {
		t.Errorf("%s: %v", key, err)
	}}))
}
