// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package explain

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"time"

	"github.com/seed-358c4d9d/githubexporter/cmd/gxctl/internal/collectorconfig"
	"github.com/seed-358c4d9d/githubexporter/cmd/gxctl/internal/filestorage"
	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger/extstore"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger/ledgerview"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger/redisstore"
	"github.com/seed-358c4d9d/githubexporter/receiver/githubexporter"
)

// source is the ledger of an organization in the store that a configuration names.
type source struct {
	collector *collectorconfig.Collector
	receiver  *collectorconfig.Receiver
	org       *githubexporter.OrgConfig
}

// contents are what the ledger has of an organization.
type contents struct {
	config *githubexporter.Config
	org    *githubexporter.OrgConfig
	view   *ledgerview.View
	// recorded is what the view does not have of the events.
	recorded map[eventKey]recordedEvent
	// corrupt is the number of records that could not be read.
	corrupt int
	// isEnabled reports whether a metric is emitted.
	isEnabled func(name string) bool
}

// eventKey identifies an event of a view.
type eventKey struct {
	repo int64
	kind activity.Kind
	id   ledgerview.CompactID
}

// recordedEvent is an event's id, and the login of its actor at the time.
type recordedEvent struct {
	id    activity.ID
	login string
}

// errCaughtUp ends the following of a store at the end of its snapshot.
var errCaughtUp = errors.New("the snapshot is complete")

// read reads the ledger as it is now.
func (s *source) read(ctx context.Context) (*contents, error) {
	c := &contents{
		config: s.receiver.Config, org: s.org, view: s.receiver.Config.NewView(s.org),
		recorded: make(map[eventKey]recordedEvent),
	}
	var err error
	if c.isEnabled, err = c.config.IsMetricEnabled(); err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	store, closeStore, err := s.open(ctx, func(string, error) { c.corrupt++ }, stop)
	if err != nil {
		return nil, err
	}
	defer closeStore()
	err = store.Follow(ctx, s.org.Name, func(change ledger.Change) error {
		c.view.Apply(change)
		for i := range change.Events {
			e := &change.Events[i]
			c.recorded[eventKey{e.Repo, e.Kind, ledgerview.NewCompactID(&e.ID)}] = recordedEvent{e.ID, e.Actor.Login}
		}
		if c.view.IsCaughtUp() {
			return errCaughtUp
		}
		return nil
	})
	if err != nil && !errors.Is(err, errCaughtUp) {
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		return nil, fmt.Errorf("read the store: %w", err)
	}
	if c.view.Edge().IsZero() {
		return nil, fmt.Errorf("the store has nothing of the organization %s: no pass has ended yet", s.org.Name)
	}
	return c, nil
}

// open opens the store for reading. A store that would try again for ever calls stop with its error.
func (s *source) open(
	ctx context.Context, onCorrupt func(string, error), stop context.CancelCauseFunc,
) (ledger.Store, func(), error) {
	config := s.receiver.Config
	if config.Redis.Enabled() {
		client, err := config.Redis.Connect(ctx)
		if err != nil {
			return nil, nil, fmt.Errorf("redis: %w", err)
		}
		store := redisstore.New(client, redisstore.Settings{
			Prefix: config.Redis.KeyPrefix, Now: time.Now, MaxSeries: config.MaxSeries, OnCorrupt: onCorrupt,
			OnFollowError: func(_ string, err error) {
				if err != nil {
					stop(err)
				}
			},
		})
		return store, func() { _ = client.Close() }, nil
	}
	if config.Storage == "" {
		return nil, nil, errors.New("the state is in the memory of the collector: there is nothing to read; " +
			"configure storage or redis")
	}
	return s.openFile(ctx, onCorrupt)
}

// openFile opens a copy of the database of file_storage.
func (s *source) openFile(ctx context.Context, onCorrupt func(string, error)) (ledger.Store, func(), error) {
	id := s.receiver.Config.Storage
	if kind, _, _ := strings.Cut(id, "/"); kind != "file_storage" {
		return nil, nil, fmt.Errorf("storage: the extension %q is not file_storage, whose files alone can be read", id)
	}
	directory := s.collector.Text("extensions::" + id + "::directory")
	if directory == "" {
		directory = "/var/lib/otelcol/file_storage" // the extension's default
	}
	path := filepath.Join(directory, filestorage.FileName(s.receiver.ID))
	reader, err := filestorage.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, fmt.Errorf("%w: has the collector run with this configuration, on this machine?", err)
	}
	if err != nil {
		return nil, nil, err
	}
	store := extstore.New(reader, extstore.Settings{OnCorrupt: onCorrupt})
	return store, func() { _ = reader.Close(ctx) }, nil
}
