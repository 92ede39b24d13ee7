// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

// Package filestorage reads the database of the collector's extension file_storage, also while the collector runs: it
// reads a copy. The database itself is never opened, because the collector holds its lock.
package filestorage

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"go.etcd.io/bbolt"
	"go.opentelemetry.io/collector/extension/xextension/storage"
)

// bucket is the name of the bucket that the extension uses.
const bucket = "default"

// maxAttempts bounds the copies of a database that is written to meanwhile.
const maxAttempts = 20

// FileName returns the name of the file of a receiver, by the receiver's id.
func FileName(receiver string) string {
	kind, name, _ := strings.Cut(receiver, "/")
	return "receiver_" + kind + "_" + name
}

// Reader is a storage.Client that reads a copy of a database. Close removes the copy.
type Reader struct {
	database *bbolt.DB
	dir      string
}

var _ storage.Client = (*Reader)(nil)

// Open copies a database and opens the copy.
func Open(path string) (*Reader, error) {
	dir, err := os.MkdirTemp("", "gxctl-")
	if err != nil {
		return nil, err
	}
	r := &Reader{dir: dir}
	if err = copyDatabase(path, filepath.Join(dir, "copy")); err == nil {
		r.database, err = openCopy(filepath.Join(dir, "copy"))
	}
	if err != nil {
		_ = os.RemoveAll(dir)
		return nil, err
	}
	return r, nil
}

// openCopy opens a copy. The database's library panics where a file is damaged.
func openCopy(path string) (database *bbolt.DB, err error) {
	defer func() {
		if damage := recover(); damage != nil {
			err = fmt.Errorf("the database is damaged: %v", damage)
		}
	}()
	return bbolt.Open(path, 0o600, &bbolt.Options{ReadOnly: true})
}

var errBusy = errors.New("the collector wrote to the database during every attempt to copy it: try again, or stop it")

// copyDatabase makes a consistent copy. A transaction of the database writes only to pages that the current meta page
// does not refer to, and then a new meta page. So a copy is that of one moment when the two meta pages were the same
// before and after it.
func copyDatabase(from, to string) error {
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { _ = source.Close() }()
	for range maxAttempts {
		before, err := readMetaPages(source)
		if err != nil {
			return err
		}
		if err := copyFile(source, to); err != nil {
			return err
		}
		after, err := readMetaPages(source)
		if err != nil {
			return err
		}
		if bytes.Equal(before, after) {
			return nil
		}
	}
	return errBusy
}

// The place of the size of a page in the first page, behind the head of the page and two numbers of four bytes, and its
// bounds (https://pkg.go.dev/go.etcd.io/bbolt/internal/common#Meta).
const (
	pageSizeAt             = 16 + 8
	minPageSize, maxPageSz = 512, 1 << 20
)

// readMetaPages returns the first two pages.
func readMetaPages(source *os.File) ([]byte, error) {
	var size [4]byte
	if _, err := source.ReadAt(size[:], pageSizeAt); err != nil {
		return nil, fmt.Errorf("%s is no database: %w", source.Name(), err)
	}
	page := binary.NativeEndian.Uint32(size[:])
	if page < minPageSize || page > maxPageSz {
		return nil, fmt.Errorf("%s is no database: pages of %d bytes", source.Name(), page)
	}
	meta := make([]byte, 2*page)
	if _, err := source.ReadAt(meta, 0); err != nil {
		return nil, fmt.Errorf("%s is no database: %w", source.Name(), err)
	}
	return meta, nil
}

// copyFile copies the whole file.
func copyFile(source *os.File, to string) error {
	if _, err := source.Seek(0, io.SeekStart); err != nil {
		return err
	}
	target, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(target, source)
	return errors.Join(err, target.Close())
}

// Get implements storage.Client.
func (r *Reader) Get(_ context.Context, key string) (value []byte, err error) {
	err = r.database.View(func(tx *bbolt.Tx) error {
		if b := tx.Bucket([]byte(bucket)); b != nil {
			value = bytes.Clone(b.Get([]byte(key)))
		}
		return nil
	})
	return value, err
}

// errReadOnly is the error of everything that would write.
var errReadOnly = errors.New("the copy of the database is not written to")

// Set implements storage.Client.
func (*Reader) Set(context.Context, string, []byte) error { return errReadOnly }

// Delete implements storage.Client.
func (*Reader) Delete(context.Context, string) error { return errReadOnly }

// Batch implements storage.Client. It reads.
func (r *Reader) Batch(ctx context.Context, operations ...*storage.Operation) error {
	for _, o := range operations {
		if o.Type != storage.Get {
			return errReadOnly
		}
		var err error
		if o.Value, err = r.Get(ctx, o.Key); err != nil {
			return err
		}
	}
	return nil
}

// Close implements storage.Client. It removes the copy.
func (r *Reader) Close(context.Context) error {
	return errors.Join(r.database.Close(), os.RemoveAll(r.dir))
}
