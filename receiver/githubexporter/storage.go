// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubexporter

import (
	"context"
	"fmt"
	"strings"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/extension/xextension/storage"
	"go.opentelemetry.io/collector/receiver"
	"go.uber.org/zap"

	"github.com/seed-358c4d9d/githubexporter/internal/health"
)

// storageProbeGrace is the time that a probe has to end when the client is closed.
const storageProbeGrace = 500 * time.Millisecond

// storageGuard is a storage client that turns the panics of file_storage's database into errors with a remedy: the
// database panics where its file is damaged, which would end the whole collector, at every start. The state has the
// results of all operations. Its methods of storage.Client are safe for concurrent use.
type storageGuard struct {
	client storage.Client
	// extension is the id of the storage extension, file the name of the file that it keeps for this receiver
	// (https://pkg.go.dev/github.com/open-telemetry/opentelemetry-collector-contrib/extension/storage/filestorage).
	extension, file string
	state           storageState
	// probed is closed when the last probe of ping has ended; nil before the first one. It belongs to ping and Close,
	// which are not called concurrently.
	probed <-chan struct{}
}

var _ storage.Client = (*storageGuard)(nil)

// openStorage opens the client of the storage extension that the configuration names. Its error is one of the
// configuration, or of a file that cannot be read.
func openStorage(
	ctx context.Context, name string, settings receiver.Settings, host component.Host,
) (*storageGuard, error) {
	var id component.ID
	if err := id.UnmarshalText([]byte(name)); err != nil {
		return nil, fmt.Errorf("storage: %q: %w", name, err)
	}
	extension, ok := host.GetExtensions()[id]
	if !ok {
		return nil, fmt.Errorf(
			"storage: there is no extension %q, want the id of one under extensions and service::extensions", name)
	}
	provider, ok := extension.(storage.Extension)
	if !ok {
		return nil, fmt.Errorf(
			"storage: the extension %q stores nothing, want a storage extension such as file_storage", name)
	}
	guard := &storageGuard{
		extension: name, file: strings.Join([]string{"receiver", settings.ID.Type().String(), settings.ID.Name()}, "_"),
	}
	// The database checks the file in a goroutine of its own, whose panic ends the process: only a line before it can
	// explain it.
	settings.Logger.Info("Opening the state in the storage extension. If the process ends here in go.etcd.io/bbolt, "+
		"the file is damaged: "+moveAway+".",
		zap.String("storage", name), zap.String("file", guard.file))
	err := guard.recoverDamage(func() (err error) {
		guard.client, err = provider.GetClient(ctx, component.KindReceiver, settings.ID, "")
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("storage: open %q: %w", name, err)
	}
	return guard, nil
}

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

// observe runs an operation that writes size bytes, 0 for none, and records its result in the state. isProbe says that
// ping has started it.
func (g *storageGuard) observe(size int, isProbe bool, do func() error) error {
	if err := g.state.permanentError(); err != nil {
		return err // the database may still hold its lock, and would block for ever
	}
	operation := g.state.startOperation(time.Now())
	err := g.recoverDamage(do)
	g.state.endOperation(operation, size, isProbe, err)
	return err
}

// Close implements storage.Client. It waits for a probe that still runs, at most storageProbeGrace: the extension's own
// Close waits for an operation that hangs, or makes it return. After a permanent error it does neither: the database
// may hold its lock for ever, and so may the goroutine of one probe.
func (g *storageGuard) Close(ctx context.Context) error {
	if g.state.permanentError() != nil {
		return nil
	}
	if g.probed != nil {
		grace := time.NewTimer(storageProbeGrace)
		defer grace.Stop()
		select {
		case <-g.probed:
		case <-grace.C:
		case <-ctx.Done():
		}
	}
	return g.recoverDamage(func() error { return g.client.Close(ctx) })
}

// damageMessages are parts of the database's errors for a file that it cannot read
// (https://pkg.go.dev/go.etcd.io/bbolt/errors).
var damageMessages = []string{"invalid database", "version mismatch", "checksum error", "file size too small"}

// moveAway is the remedy for a damaged file. The extension's own, recreate: true, mends some damages only.
const moveAway = "move the file away to begin a new one: the look-back is read again, and the cumulative sums " +
	"start from what it shows"

// recoverDamage runs an operation. It returns a panic as a PermanentError, and adds the remedy to errors that are
// known.
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
	if err.Error() == "timeout" { // the database's error when another process holds the lock of the file
		const opened = "another process has the file %q in the directory of %q open, want a directory for each " +
			"process: %w"
		return fmt.Errorf(opened, g.file, g.extension, err)
	}
	return err
}

// damaged returns the error of a damaged file, with its name and the remedy.
func (g *storageGuard) damaged(err error) error {
	return fmt.Errorf("the file %q in the directory of %q is damaged: %w; %s", g.file, g.extension, err, moveAway)
}

// ping returns why the storage cannot be written to, nil when it can. It returns when ctx ends: an operation of the
// client has no time limit. The goroutine of its probe may run on, at most one at a time: no ping starts another one
// before. A later ping has its result, and Close waits for it.
func (g *storageGuard) ping(ctx context.Context) error {
	if size, _ := g.state.assess(time.Now()); size > 0 && !g.isProbing() {
		probed := make(chan struct{})
		g.probed = probed
		go func() {
			defer close(probed)
			g.probe(context.WithoutCancel(ctx), size)
		}()
		select {
		case <-probed:
		case <-ctx.Done():
		}
	}
	_, err := g.state.assess(time.Now())
	if err == nil {
		return nil
	}
	const text = "the storage extension %q fails to store records; they are re-read from GitHub once it works " +
		"again: %w"
	return fmt.Errorf(text, g.extension, err)
}

// isProbing reports whether the probe of an earlier ping still runs.
func (g *storageGuard) isProbing() bool {
	if g.probed == nil {
		return false
	}
	select {
	case <-g.probed:
		return false
	default:
		return true
	}
}

// probe writes a record of a size in bytes. The store may use the space of a large one afterwards.
func (g *storageGuard) probe(ctx context.Context, size int) {
	write := func(size int) error {
		return g.observe(size, true, func() error { return g.client.Set(ctx, storageProbeKey, make([]byte, size)) })
	}
	if err := write(size); err == nil && size > 1 {
		_ = write(1) // the state has the error
	}
}
