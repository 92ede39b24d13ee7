package redisstore_test

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger/redisstore"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger/storetest"
	"github.com/seed-358c4d9d/githubexporter/internal/redistest"
)

// ledgerKeys are the keys of an organization's ledger.
var ledgerKeys = []string{"meta", "seen", "removed", "log", "series", "carried", "cov", "tallies", "samples"}

// TestLostKeys: whichever keys of a ledger are gone, a replica that follows, one that starts and one that writes show
// what GitHub has after it was read again, never twice and never less; what was left is not mixed with it, and it is
// said aloud.
func TestLostKeys(t *testing.T) {
	t.Parallel()
	cluster := redis.NewClusterClient(&redis.ClusterOptions{
		Addrs: []string{redistest.StartCluster(t)[0].Address}, ContextTimeoutEnabled: true,
	})
	t.Cleanup(func() { _ = cluster.Close() })
	for topology, client := range map[string]redis.UniversalClient{
		"standalone": redistest.Start(t).Client(), "cluster": cluster,
	} {
		t.Run(topology, func(t *testing.T) {
			t.Parallel()
			group, ctx := errgroup.WithContext(t.Context())
			group.SetLimit(32)
			for mask := range 1 << len(ledgerKeys) {
				group.Go(func() error {
					if err := loseKeys(ctx, client, mask); err != nil {
						return fmt.Errorf("without %s: %w", strings.Join(keysOf(mask), ", "), err)
					}
					return nil
				})
			}
			require.NoError(t, group.Wait())
		})
	}
}

func keysOf(mask int) (names []string) {
	for i, name := range ledgerKeys {
		if mask&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return names
}

// loss is a ledger that loses keys.
type loss struct {
	client  redis.UniversalClient
	prefix  string
	damaged atomic.Int32
}

func (l *loss) open() *redisstore.Store {
	return redisstore.New(l.client, redisstore.Settings{Prefix: l.prefix, Now: time.Now, OnDamaged: func(string) { l.damaged.Add(1) }})
}

func loseKeys(ctx context.Context, client redis.UniversalClient, mask int) error {
	l := &loss{client: client, prefix: fmt.Sprintf("m%d", mask)}
	store := l.open()
	if err := fillLedger(ctx, store); err != nil {
		return err
	}
	live := ledger.NewView(ledger.ViewSettings{Retention: 720 * time.Hour, Grace: time.Hour})
	following, stop := context.WithCancel(ctx)
	defer stop()
	go func() { _ = store.Follow(following, "acme", func(c ledger.Change) error { live.Apply(c); return nil }) }()
	if err := awaitCommits(ctx, live, 3, 5); err != nil {
		return fmt.Errorf("before: %w", err)
	}
	for _, name := range keysOf(mask) {
		if n, err := client.Del(ctx, l.prefix+":1:{acme}:"+name).Result(); err != nil || n != 1 {
			return fmt.Errorf("delete %s: %d, %w", name, n, err)
		}
	}
	if mask%3 == 0 {
		store = l.open() // another process
	}
	for range 3 {
		if err := readAgain(ctx, store); err != nil {
			return err
		}
	}
	total := uint64(3)
	if mask == 0 {
		total = 5
	}
	if err := awaitCommits(ctx, live, 3, total); err != nil {
		return fmt.Errorf("who follows: %w", err)
	}
	late := ledger.NewView(ledger.ViewSettings{Retention: 720 * time.Hour, Grace: time.Hour})
	starting, caught := context.WithCancel(ctx)
	defer caught()
	_ = store.Follow(starting, "acme", func(c ledger.Change) error {
		if late.Apply(c); c.Caught {
			caught()
		}
		return nil
	})
	if err := awaitCommits(ctx, late, 3, total); err != nil {
		return fmt.Errorf("who starts: %w", err)
	}
	if said := l.damaged.Load() > 0; said != (mask != 0 && mask != 1<<len(ledgerKeys)-1) { // a ledger that is gone as a whole is reported by followers
		return fmt.Errorf("said aloud: %v", said)
	}
	return nil
}

func lostEvents() []activity.Event {
	return []activity.Event{
		storetest.Event(activity.KindCommit, 1, "ada", storetest.Noon.AddDate(0, 0, -10)), // pruned
		storetest.Event(activity.KindCommit, 2, "ada", storetest.Noon),                    // not on the branch any more
		storetest.Event(activity.KindCommit, 3, "ada", storetest.Noon),
		storetest.Event(activity.KindCommit, 4, "ada", storetest.Noon),
		storetest.Event(activity.KindCommit, 5, "ada", storetest.Noon),
	}
}

func fillLedger(ctx context.Context, store *redisstore.Store) error {
	events := lostEvents()
	first := ledger.Batch{Org: "acme", Observed: storetest.Noon, Progress: storetest.Contact(1), Events: events}
	first.Samples = []ledger.Sample{{SampleKey: ledger.SampleKey{Name: "kept"}, Data: []byte("x"), Observed: storetest.Noon}}
	first.Tallies = []ledger.Tally{{TallyKey: ledger.TallyKey{Name: "kept"}, Add: 1}}
	if _, err := store.Commit(ctx, 1, first); err != nil {
		return err
	}
	if _, err := store.Commit(ctx, 1, ledger.Batch{Org: "acme", Observed: storetest.Noon, Removed: []activity.Key{events[1].Key()}}); err != nil {
		return err
	}
	return store.Prune(ctx, "acme", storetest.Noon.AddDate(0, 0, -5))
}

// readAgain is a pass: it meets the repository when the ledger does not have it, and reads its branch then.
func readAgain(ctx context.Context, store *redisstore.Store) error {
	cov, err := store.Coverage(ctx, "acme")
	if err != nil {
		return err
	}
	b := ledger.Batch{Org: "acme", Observed: storetest.Noon, Progress: ledger.Progress{Edge: storetest.Noon.Add(time.Minute)}}
	if cov.Repos[1] == nil {
		b.Progress.Repos = storetest.Contact(1).Repos
		b.Events = lostEvents()[2:]
	}
	_, err = store.Commit(ctx, 1, b)
	return err
}

// awaitCommits waits until a view counts so many commits, of the last day and in all.
func awaitCommits(ctx context.Context, view *ledger.View, day, total uint64) error {
	deadline := time.Now().Add(30 * time.Second)
	for {
		got := storetest.Shown{}
		view.Visit(storetest.Noon, got)
		ada := got[ledger.Series{Repo: "repo-1", User: "ada"}]
		if view.Caught() && ada.Of[ledger.MetricCount] == day && ada.Of[ledger.MetricTotal] == total {
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%d and %d commits, want %d and %d", ada.Of[ledger.MetricCount], ada.Of[ledger.MetricTotal], day, total)
		}
		timer := time.NewTimer(20 * time.Millisecond)
		select {
		case <-ctx.Done():
			timer.Stop()
		case <-timer.C:
		}
	}
}
