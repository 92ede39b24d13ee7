// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package filestorage

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"go.etcd.io/bbolt"
	"go.opentelemetry.io/collector/extension/xextension/storage"
)

func TestFileName(t *testing.T) {
	require.Equal(t, "receiver_githubexporter_", FileName("githubexporter"))
	require.Equal(t, "receiver_githubexporter_two", FileName("githubexporter/two"))
}

// openDatabase opens a new database as the extension does.
func openDatabase(t *testing.T) (database *bbolt.DB, path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "receiver_githubexporter_")
	database, err := bbolt.Open(path, 0o600, &bbolt.Options{NoSync: true, NoFreelistSync: true})
	require.NoError(t, err)
	t.Cleanup(func() { _ = database.Close() })
	return database, path
}

// put writes one number under many keys in one transaction.
func put(t *testing.T, database *bbolt.DB, number uint64) {
	t.Helper()
	require.NoError(t, database.Update(func(tx *bbolt.Tx) error {
		b, err := tx.CreateBucketIfNotExists([]byte(bucket))
		for i := range 200 {
			if err == nil {
				err = b.Put(fmt.Appendf(nil, "key%d", i), binary.BigEndian.AppendUint64(make([]byte, 100), number))
			}
		}
		return err
	}))
}

// TestCopiesAreOfOneMoment: while another writer has the database open and writes, each copy has one number everywhere.
func TestCopiesAreOfOneMoment(t *testing.T) {
	database, path := openDatabase(t)
	put(t, database, 1)
	stop := make(chan struct{})
	var writer sync.WaitGroup
	writer.Go(func() {
		for number := uint64(2); ; number++ {
			select {
			case <-stop:
				return
			default:
				put(t, database, number)
			}
		}
	})
	copies := 0
	for range 200 {
		reader, err := Open(path)
		if err != nil {
			require.ErrorIs(t, err, errBusy)
			continue
		}
		copies++
		first, err := reader.Get(t.Context(), "key0")
		require.NoError(t, err)
		require.NotEmpty(t, first)
		for i := range 200 {
			value, err := reader.Get(t.Context(), fmt.Sprintf("key%d", i))
			require.NoError(t, err)
			require.Equal(t, first, value)
		}
		require.NoError(t, reader.Close(t.Context()))
		require.NoDirExists(t, reader.dir)
	}
	close(stop)
	writer.Wait()
	require.Positive(t, copies)
	t.Logf("%d of 200 copies", copies)
}

// TestReaderDoesNotWrite: the store that uses the copy cannot change anything.
func TestReaderDoesNotWrite(t *testing.T) {
	database, path := openDatabase(t)
	put(t, database, 1)
	reader, err := Open(path)
	require.NoError(t, err)
	defer func() { require.NoError(t, reader.Close(t.Context())) }()
	require.ErrorIs(t, reader.Set(t.Context(), "key0", nil), errReadOnly)
	require.ErrorIs(t, reader.Delete(t.Context(), "key0"), errReadOnly)
	require.ErrorIs(t, reader.Batch(t.Context(), storage.SetOperation("key0", nil)), errReadOnly)
	get := storage.GetOperation("key0")
	require.NoError(t, reader.Batch(t.Context(), get))
	require.NotEmpty(t, get.Value)
	absent, err := reader.Get(t.Context(), "absent")
	require.NoError(t, err)
	require.Nil(t, absent)
}

func TestNoDatabase(t *testing.T) {
	_, err := Open(filepath.Join(t.TempDir(), "absent"))
	require.ErrorIs(t, err, os.ErrNotExist)
	for name, content := range map[string][]byte{
		"empty": nil, "text": []byte("this is a text and no database at all"), "zeros": make([]byte, 1<<16),
	} {
		path := filepath.Join(t.TempDir(), name)
		require.NoError(t, os.WriteFile(path, content, 0o600))
		_, err := Open(path)
		require.ErrorContains(t, err, "is no database", name)
	}
}
