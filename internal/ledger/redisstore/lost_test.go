// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package redisstore_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger/ledgerview"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger/redisstore"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger/storetest"
	"github.com/seed-358c4d9d/githubexporter/internal/redistest"
)

// ledgerKeys are the keys of an organization's ledger.
var ledgerKeys = []string{"meta", "seen", "removed", "log", "series", "carried", "cov", "tallies", "samples"}

// isMarker reports whether a field or member is the marker of its key.
func isMarker(field string) bool { return field == "\x00" }

// topologies are clients of a single server, of Sentinels and of a cluster.
func topologies(t *testing.T) map[string]redis.UniversalClient {
	t.Helper()
	const connections = 500 // of followers that wait
	sentinels := redistest.StartSentinels(t)
	clients := map[string]redis.UniversalClient{
		"standalone": redis.NewClient(&redis.Options{
			Addr: redistest.Start(t).Address, ContextTimeoutEnabled: true, PoolSize: connections,
		}),
		"sentinel": redis.NewFailoverClient(&redis.FailoverOptions{
			MasterName: sentinels.MasterName, SentinelAddrs: sentinels.Addresses, ContextTimeoutEnabled: true,
			PoolSize: connections,
		}),
		"cluster": redis.NewClusterClient(&redis.ClusterOptions{
			Addrs: []string{redistest.StartCluster(t)[0].Address}, ContextTimeoutEnabled: true, PoolSize: connections,
		}),
	}
	for _, client := range clients {
		t.Cleanup(func() { _ = client.Close() })
	}
	return clients
}

// damage is a way to damage a ledger.
type damage struct {
	name string
	do   func(ctx context.Context, client redis.UniversalClient, key func(string) string) error
	// sums: no total of the past is lost. silent: all of the ledger is missing, which followers report.
	sums, silent bool
}

// TestLostKeys: whichever keys of a ledger are missing, a replica that follows, one that starts at that moment, one
// that takes over and one that starts afterwards have each event of GitHub once; the other keys are not mixed into the
// new ledger, and the damage is reported.
func TestLostKeys(t *testing.T) {
	t.Parallel()
	var damages []damage
	for mask := range 1 << len(ledgerKeys) {
		damages = append(damages, damage{
			name: "without " + strings.Join(keysOf(mask), ", "), sums: mask == 0, silent: mask == 1<<len(ledgerKeys)-1,
			do: func(ctx context.Context, client redis.UniversalClient, key func(string) string) error {
				for _, name := range keysOf(mask) {
					if n, err := client.Del(ctx, key(name)).Result(); err != nil || n != 1 {
						return fmt.Errorf("delete %s: %d, %w", name, n, err)
					}
				}
				return nil
			},
		})
	}
	for topology, client := range topologies(t) {
		t.Run(topology, func(t *testing.T) {
			t.Parallel()
			suffer(t, client, damages)
		})
	}
}

// TestLostEntries: the same when single fields, members or entries are missing, or a key expires.
func TestLostEntries(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	client := redis.NewClient(&redis.Options{Addr: server.Address, ContextTimeoutEnabled: true, PoolSize: 500})
	t.Cleanup(func() { _ = client.Close() })
	var damages []damage
	for _, name := range []string{"cov", "carried", "series", "removed", "tallies", "samples"} {
		damages = append(damages, damage{
			name: "a field of " + name,
			do: func(ctx context.Context, client redis.UniversalClient, key func(string) string) error {
				fields := slices.DeleteFunc(client.HKeys(ctx, key(name)).Val(), isMarker)
				return client.HDel(ctx, key(name), fields[len(fields)-1]).Err()
			},
		})
	}
	damages = append(damages, damage{
		name: "a member of seen",
		do: func(ctx context.Context, client redis.UniversalClient, key func(string) string) error {
			members := slices.DeleteFunc(client.SMembers(ctx, key("seen")).Val(), isMarker)
			return client.SRem(ctx, key("seen"), members[0]).Err()
		},
	}, damage{
		name: "an expired key",
		do: func(ctx context.Context, client redis.UniversalClient, key func(string) string) error {
			return client.PExpire(ctx, key("seen"), -time.Second).Err()
		},
	}, damage{
		name: "the beginning of the log",
		do: func(ctx context.Context, client redis.UniversalClient, key func(string) string) error {
			return client.XTrimMaxLen(ctx, key("log"), 2).Err()
		},
	})
	for i, name := range []string{"first", "second", "last but one", "last"} {
		damages = append(damages, damage{
			name: "the " + name + " entry of the log",
			do: func(ctx context.Context, client redis.UniversalClient, key func(string) string) error {
				entries := client.XRange(ctx, key("log"), "-", "+").Val()
				entry := entries[min(i, 1)]
				if i > 1 {
					entry = entries[len(entries)-4+i]
				}
				return client.XDel(ctx, key("log"), entry.ID).Err()
			},
		})
	}
	suffer(t, client, damages)
}

// suffer damages a ledger, and checks the replica that wrote it and one that takes over.
func suffer(t *testing.T, client redis.UniversalClient, damages []damage) {
	t.Helper()
	group, ctx := errgroup.WithContext(t.Context())
	group.SetLimit(64)
	for i := range damages {
		for _, takeover := range []bool{false, true} {
			group.Go(func() error {
				if err := (&loss{client: client, takeover: takeover}).suffer(ctx, &damages[i]); err != nil {
					return fmt.Errorf("%s, takeover %v: %w", damages[i].name, takeover, err)
				}
				return nil
			})
		}
	}
	require.NoError(t, group.Wait())
}

func keysOf(mask int) (names []string) {
	for i, name := range ledgerKeys {
		if mask&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return names
}

// loss is a ledger that is damaged.
type loss struct {
	client   redis.UniversalClient
	prefix   string
	takeover bool // by another process, which goes on
	damaged  atomic.Int32
}

func (l *loss) open() *redisstore.Store {
	return redisstore.New(l.client, redisstore.Settings{
		Prefix: l.prefix, Now: time.Now,
		OnDamaged: func(string) { l.damaged.Add(1) },
	})
}

func (l *loss) key(name string) string { return l.prefix + ":1:{acme}:" + name }

func (l *loss) suffer(ctx context.Context, d *damage) error {
	l.prefix = fmt.Sprintf("loss-%d", prefixes.Add(1))
	store, fence := l.open(), uint64(1)
	if err := fillLedger(ctx, store); err != nil {
		return err
	}
	watching, stop := context.WithCancel(ctx)
	defer stop()
	live := l.watch(watching, false)
	if err := live.await(ctx, 5); err != nil {
		return fmt.Errorf("before: %w", err)
	}
	if err := d.do(ctx, l.client, l.key); err != nil {
		return err
	}
	starting := l.watch(watching, true)
	if l.takeover {
		store, fence = l.open(), 2
	}
	select {
	case <-starting.tried:
	case <-ctx.Done():
		return ctx.Err()
	}
	for range 2 {
		if err := pass(ctx, store, fence); err != nil {
			return fmt.Errorf("a pass: %w", err)
		}
	}
	total := uint64(3)
	if d.sums {
		total = 5
	}
	for name, view := range map[string]*watched{
		"who follows": live, "who starts": starting, "who starts afterwards": l.watch(watching, false),
	} {
		if err := view.await(ctx, total); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	if said := l.damaged.Load() > 0; said == (d.sums || d.silent) {
		return fmt.Errorf("said aloud: %v", said)
	}
	return nil
}

// watched is a view whose every state is checked.
type watched struct {
	*ledgerview.View
	wrong atomic.Pointer[error]
	tried chan struct{} // closed when a snapshot was applied, or none could be
}

// watch follows a ledger as another process. One that starts while the ledger is read again may have a part of it, as
// at the very first start.
func (l *loss) watch(ctx context.Context, starting bool) *watched {
	w := &watched{
		View:  ledgerview.New(ledgerview.Settings{Retention: 720 * time.Hour, Grace: time.Hour}),
		tried: make(chan struct{}),
	}
	tried := sync.OnceFunc(func() { close(w.tried) })
	store := redisstore.New(l.client, redisstore.Settings{
		Prefix: l.prefix, Now: time.Now, OnFollowError: func(string, error) { tried() },
	})
	go func() {
		_ = store.Follow(ctx, "acme", func(c ledger.Change) error {
			if w.Apply(c); !w.IsCaughtUp() {
				return nil
			}
			tried()
			if day, _ := w.commits(); day > 3 || (day < 3 && (!starting || !w.Edge().IsZero())) {
				err := fmt.Errorf("%d commits of the last day are shown, want 3", day)
				w.wrong.CompareAndSwap(nil, &err)
			}
			return nil
		})
	}()
	return w
}

func (w *watched) commits() (day, total uint64) {
	got := storetest.EmittedSeries{}
	w.Visit(storetest.Noon, got)
	ada := got[ledgerview.Series{Repo: "repo-1", User: "ada"}]
	return ada.Of[ledgerview.MetricCount], ada.Of[ledgerview.MetricTotal]
}

// await waits until the view counts so many commits in all, and those of the last day.
func (w *watched) await(ctx context.Context, want uint64) error {
	deadline := time.Now().Add(60 * time.Second)
	for {
		if wrong := w.wrong.Load(); wrong != nil {
			return *wrong
		}
		day, total := w.commits()
		if w.IsCaughtUp() && day == 3 && total == want {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%d and %d commits, want 3 and %d", day, total, want)
		}
		timer := time.NewTimer(20 * time.Millisecond)
		select {
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		case <-timer.C:
		}
	}
}

func lostEvents() []activity.Event {
	return []activity.Event{
		storetest.Event(activity.KindCommit, 1, "ada", storetest.Noon.AddDate(0, 0, -10)), // pruned
		storetest.Event(activity.KindCommit, 2, "ada", storetest.Noon),                    // removed from the branch
		storetest.Event(activity.KindCommit, 3, "ada", storetest.Noon),
		storetest.Event(activity.KindCommit, 4, "ada", storetest.Noon),
		storetest.Event(activity.KindCommit, 5, "ada", storetest.Noon),
	}
}

func fillLedger(ctx context.Context, store *redisstore.Store) error {
	events := lostEvents()
	first := ledger.Batch{Org: "acme", Observed: storetest.Noon, Progress: storetest.IntroduceRepos(1), Events: events}
	first.Entries = []ledger.Entry{{
		EntryKey: ledger.EntryKey{Name: "kept"}, Data: []byte("x"),
		Observed: storetest.Noon,
	}}
	first.Tallies = []ledger.Tally{{TallyKey: ledger.TallyKey{Name: "kept"}, Add: 1}}
	if _, err := store.Commit(ctx, 1, first); err != nil {
		return err
	}
	removal := ledger.Batch{Org: "acme", Observed: storetest.Noon, Removed: []activity.Key{events[1].Key()}}
	removal.Progress.Repos = []ledger.RepoProgress{
		{ID: 1, Signals: &activity.Signals{Head: "abc"}, Observed: storetest.Noon},
	}
	if _, err := store.Commit(ctx, 1, removal); err != nil {
		return err
	}
	if err := store.Prune(ctx, "acme", storetest.Noon.AddDate(0, 0, -5)); err != nil {
		return err
	}
	idle := ledger.Batch{Org: "acme", Observed: storetest.Noon, Progress: ledger.Progress{Edge: storetest.Noon}}
	_, err := store.Commit(ctx, 1, idle)
	return err
}

// pass reads the gaps of the repository as a pass does: it introduces it, records two pages, of which the last one has
// the read windows, and advances the edge. It starts over when the store refuses a commit with ErrReplaced.
func pass(ctx context.Context, store *redisstore.Store, fence uint64) error {
	err := readOnce(ctx, store, fence, func() error { return nil })
	if errors.Is(err, ledger.ErrReplaced) {
		err = readOnce(ctx, store, fence, func() error { return nil })
	}
	return err
}

// readOnce calls a function before each of its commits.
func readOnce(ctx context.Context, store *redisstore.Store, fence uint64, before func() error) error {
	cov, err := store.Coverage(ctx, "acme")
	if err != nil {
		return err
	}
	commit := func(b ledger.Batch) error {
		b.Org, b.Observed, b.Basis = "acme", storetest.Noon, cov.Basis
		if err := before(); err != nil {
			return err
		}
		_, err := store.Commit(ctx, fence, b)
		return err
	}
	if repo := cov.Repos[1]; repo == nil || repo.Signals.Head == "" {
		met := ledger.Progress{Repos: storetest.IntroduceRepos(1).Repos}
		last := ledger.RepoProgress{ID: 1, Signals: &activity.Signals{Head: "abc"}, Observed: storetest.Noon}
		err = errors.Join(commit(ledger.Batch{Progress: met}), commit(ledger.Batch{Events: lostEvents()[2:4]}),
			commit(ledger.Batch{
				Events:   lostEvents()[4:],
				Progress: ledger.Progress{Repos: []ledger.RepoProgress{last}},
			}))
	}
	return errors.Join(err, commit(ledger.Batch{Progress: ledger.Progress{Edge: storetest.Noon.Add(time.Minute)}}))
}
