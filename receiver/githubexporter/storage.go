// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubexporter

import (
	"context"
	"fmt"
	"strings"
	"time"

	"go.opentelemetry.io/collector/extension/xextension/storage"

	"github.com/seed-358c4d9d/githubexporter/internal/health"
)

// storageGuard is a storage client that explains what is wrong with the file of file_storage. Its database panics
// where the file is damaged, which would end the whole collector, at every start. It notes how the client does. It is
// safe for concurrent use as its client is.
type storageGuard struct {
	client storage.Client
	// extension is the id of the storage extension, file the name of the file that it keeps for this receiver
	// (https://pkg.go.dev/github.com/open-telemetry/opentelemetry-collector-contrib/extension/storage/filestorage).
	extension, file string
	state           storageState
}

var _ storage.Client = (*storageGuard)(nil)

// Get implements storage.Client.
func (g *storageGuard) Get(ctx context.Context, key string) (value []byte, err error) {
	err = g.observe(0, false, func() (err error) {
		value, err = g.client.Get(ctx, key)
		return err
	})
	return value, err
}

// Set implements storage.Client.
func (g *storageGuard) Set(ctx context.Context, key string, value []byte) error {
	return g.observe(len(value), false, func() error { return g.client.Set(ctx, key, value) })
}

// Delete implements storage.Client.
func (g *storageGuard) Delete(ctx context.Context, key string) error {
	return g.observe(0, false, func() error { return g.client.Delete(ctx, key) })
}

// Batch implements storage.Client.
func (g *storageGuard) Batch(ctx context.Context, ops ...*storage.Operation) error {
	size := 0
	for _, op := range ops {
		size += len(op.Value)
	}
	return g.observe(size, false, func() error { return g.client.Batch(ctx, ops...) })
}

// observe notes the outcome of an operation that writes so many bytes; 0 is for one that writes none.
func (g *storageGuard) observe(size int, probe bool, do func() error) error {
	if err := g.state.permanentError(); err != nil {
		return err // the database may still hold its lock: it would never answer
	}
	operation := g.state.startOperation(time.Now())
	err := g.recoverDamage(do)
	g.state.endOperation(operation, size, probe, err)
	return err
}

// Close implements storage.Client.
func (g *storageGuard) Close(ctx context.Context) error {
	if g.state.permanentError() != nil {
		return nil
	}
	return g.recoverDamage(func() error { return g.client.Close(ctx) })
}

// damageMessages are what the database says of a file that it cannot read
// (https://pkg.go.dev/go.etcd.io/bbolt/errors).
var damageMessages = []string{"invalid database", "version mismatch", "checksum error", "file size too small"}

// moveAway is the remedy for a damaged file. The extension's own, recreate: true, mends some damages only.
const moveAway = "move the file away to begin a new one: the look-back is read again, and the cumulative sums " +
	"start from what it shows"

// recoverDamage makes an error of a panic, and explains an error.
func (g *storageGuard) recoverDamage(do func() error) (err error) {
	defer func() {
		if damage := recover(); damage != nil {
			err = &health.PermanentError{Err: g.damaged(fmt.Errorf("%v", damage))}
		}
	}()
	if err = do(); err == nil {
		return nil
	}
	for _, damage := range damageMessages {
		if strings.Contains(err.Error(), damage) {
			return g.damaged(err)
		}
	}
	if err.Error() == "timeout" { // what the database says when it did not get the lock of the file
		const opened = "another process has the file %q in the directory of %q open, want a directory for each " +
			"process: %w"
		return fmt.Errorf(opened, g.file, g.extension, err)
	}
	return err
}

func (g *storageGuard) damaged(err error) error {
	return fmt.Errorf("the file %q in the directory of %q is damaged: %w; %s", g.file, g.extension, err, moveAway)
}
