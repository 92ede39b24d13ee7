package extstore_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/open-telemetry/opentelemetry-collector-contrib/extension/storage/filestorage"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/extension/extensiontest"
	"go.opentelemetry.io/collector/extension/xextension/storage"
	"go.uber.org/goleak"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger/extstore"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger/storetest"
)

// crashEnv has the directory in which a child process commits until it is killed.
const crashEnv = "GX_EXTSTORE_CRASH"

func TestMain(m *testing.M) {
	if dir := os.Getenv(crashEnv); dir != "" {
		commitUntilKilled(dir)
	}
	goleak.VerifyTestMain(m)
}

// fileStorage is a client of the collector's file_storage extension in a directory.
func fileStorage(ctx context.Context, dir string) (storage.Client, func() error, error) {
	factory := filestorage.NewFactory()
	config := factory.CreateDefaultConfig().(*filestorage.Config)
	config.Directory = dir
	extension, err := factory.Create(ctx, extensiontest.NewNopSettings(factory.Type()), config)
	if err != nil {
		return nil, nil, err
	}
	if err := extension.Start(ctx, componenttest.NewNopHost()); err != nil {
		return nil, nil, err
	}
	client, err := extension.(storage.Extension).GetClient(ctx, component.KindReceiver, component.MustNewID("githubexporter"), "")
	if err != nil {
		return nil, nil, err
	}
	return client, func() error { return errors.Join(client.Close(ctx), extension.Shutdown(ctx)) }, nil
}

// harness is a store on file_storage that can be opened again.
func harness(tb testing.TB, maxSeries int) storetest.Harness {
	tb.Helper()
	dir := tb.TempDir()
	var closeLast func() error
	tb.Cleanup(func() {
		if closeLast != nil {
			require.NoError(tb, closeLast())
		}
	})
	return storetest.Harness{Durable: true, Open: func(tb testing.TB) ledger.Store {
		tb.Helper()
		if closeLast != nil {
			require.NoError(tb, closeLast())
		}
		client, closer, err := fileStorage(context.WithoutCancel(tb.Context()), dir)
		require.NoError(tb, err)
		closeLast = closer
		return extstore.New(client, extstore.Settings{MaxSeries: maxSeries, OnCorrupt: func(key string, err error) {
			tb.Errorf("%s: %v", key, err)
		}})
	}}
}

func TestConformance(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(tb testing.TB) storetest.Harness { tb.Helper(); return harness(tb, 0) }, harness)
}

// commitUntilKilled is the child process: it commits batches and prints the number of each when it is committed.
func commitUntilKilled(dir string) {
	ctx := context.Background()
	client, _, err := fileStorage(ctx, dir)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	store := extstore.New(client, extstore.Settings{})
	cov, err := store.Coverage(ctx, "acme")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	next := int64(0)
	if r := cov.Repos[1]; r != nil {
		next = r.Signals.Pulls.Number // how far the coverage says that it is
	}
	for ; ; next++ {
		if _, err := store.Commit(ctx, 1, crashBatch(next)); err != nil {
			os.Exit(2)
		}
		os.Stdout.WriteString(strconv.FormatInt(next, 10) + "\n") //nolint:errcheck // it is about to die anyway
	}
}

// crashBatch has the events of a number and of the one before, and says in the coverage how far it is. It is large, so
// that the journal is often replaced by a snapshot.
func crashBatch(n int64) ledger.Batch {
	b := ledger.Batch{Org: "acme", Observed: storetest.Noon, Progress: storetest.Contact(1)}
	b.Progress.Repos[0].Signals = &activity.Signals{Head: strings.Repeat("x", 20_000), Pulls: activity.Mark{Number: n}}
	b.Progress.Repos[0].Observed = storetest.Noon
	for i := max(0, n-1); i <= n; i++ {
		b.Events = append(b.Events, storetest.Event(activity.KindCommit, i, "ada", storetest.Noon))
	}
	return b
}

// TestKill kills a process in the middle of committing, again and again, and shows that every batch that was
// acknowledged is there, none is doubled, and each process goes on where the coverage says.
func TestKill(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	acknowledged := int64(-1)
	for round := range 10 {
		child := exec.Command(os.Args[0])
		child.Env = append(os.Environ(), crashEnv+"="+dir)
		child.Stderr = os.Stderr
		output, err := child.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, child.Start())
		lines := bufio.NewScanner(output)
		for n := 0; n < 40+17*round && lines.Scan(); n++ {
			acknowledged, err = strconv.ParseInt(lines.Text(), 10, 64)
			require.NoError(t, err)
		}
		require.NoError(t, child.Process.Kill())
		for lines.Scan() {
			if n, err := strconv.ParseInt(lines.Text(), 10, 64); err == nil {
				acknowledged = n
			}
		}
		require.Error(t, child.Wait())
		requireRecorded(t, dir, acknowledged)
	}
	require.Greater(t, acknowledged, int64(500))
}

// requireRecorded opens the store and finds every acknowledged event once, and at most one that was not.
func requireRecorded(t *testing.T, dir string, acknowledged int64) {
	t.Helper()
	client, closer, err := fileStorage(t.Context(), dir)
	require.NoError(t, err)
	defer func() { require.NoError(t, closer()) }()
	store := extstore.New(client, extstore.Settings{OnCorrupt: func(key string, err error) { t.Errorf("%s: %v", key, err) }})
	got := storetest.Shown{}
	storetest.Latest(t, store, "acme").Visit(storetest.Noon, got)
	commits := got[ledger.Series{Repo: "repo-1", User: "ada"}].Of[ledger.MetricTotal]
	require.Contains(t, []uint64{uint64(acknowledged + 1), uint64(acknowledged + 2)}, commits)
	_, events := store.Sizes("acme")
	require.Equal(t, int(commits), events)
}

// faulty fails writes before or after they are done.
type faulty struct {
	storage.Client

	mu            sync.Mutex
	before, after error
}

func (f *faulty) fail(before, after error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.before, f.after = before, after
}

func (f *faulty) Set(ctx context.Context, key string, value []byte) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.before != nil {
		return f.before
	}
	return errors.Join(f.Client.Set(ctx, key, value), f.after)
}

// TestFailedWrite: after a write that failed, done or not, memory and storage agree, and followers have what is kept.
func TestFailedWrite(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		done bool
		want uint64
	}{"not done": {false, 1}, "done all the same": {true, 2}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client, closer, err := fileStorage(t.Context(), t.TempDir())
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, closer()) })
			broken := &faulty{Client: client}
			store := extstore.New(broken, extstore.Settings{})
			put := func(n int64) error {
				b := ledger.Batch{Org: "acme", Observed: storetest.Noon, Progress: storetest.Contact(1)}
				b.Events = []activity.Event{storetest.Event(activity.KindCommit, n, "ada", storetest.Noon)}
				_, err := store.Commit(t.Context(), 1, b)
				return err
			}
			require.NoError(t, put(1))
			follower := following(t, store)
			failure := errors.New("no space left")
			if test.done {
				broken.fail(nil, failure)
			} else {
				broken.fail(failure, nil)
			}
			require.ErrorIs(t, put(2), failure)
			broken.fail(nil, nil)
			commits := func() uint64 {
				got := storetest.Shown{}
				storetest.Latest(t, store, "acme").Visit(storetest.Noon, got)
				return got[ledger.Series{Repo: "repo-1", User: "ada"}].Of[ledger.MetricTotal]
			}
			require.Equal(t, test.want, commits())
			require.NoError(t, put(2), "committing again is safe")
			require.Equal(t, uint64(2), commits())
			follower.requireCommits(2)
		})
	}
}

// follower is a view that follows a store until the test ends.
type follower struct {
	t       *testing.T
	view    *ledger.View
	applied chan struct{}
}

func following(t *testing.T, store ledger.Store) *follower {
	t.Helper()
	f := &follower{t: t, applied: make(chan struct{}, 1000), view: ledger.NewView(ledger.ViewSettings{Retention: 720 * time.Hour})}
	ctx, cancel := context.WithCancel(t.Context())
	var done sync.WaitGroup
	done.Go(func() {
		_ = store.Follow(ctx, "acme", func(c ledger.Change) error {
			f.view.Apply(c)
			f.applied <- struct{}{}
			return nil
		})
	})
	t.Cleanup(func() { cancel(); done.Wait() })
	return f
}

func (f *follower) requireCommits(want uint64) {
	f.t.Helper()
	for {
		got := storetest.Shown{}
		f.view.Visit(storetest.Noon, got)
		if got[ledger.Series{Repo: "repo-1", User: "ada"}].Of[ledger.MetricTotal] == want {
			return
		}
		<-f.applied
	}
}

// TestCorruptRecords: what is corrupt is reported and left out, the rest is kept, and all is declared missing so that it
// is read again. After that the store is sound.
func TestCorruptRecords(t *testing.T) {
	t.Parallel()
	for name, corrupt := range map[string]func(t *testing.T, client storage.Client){
		"a flipped bit": func(t *testing.T, client storage.Client) {
			t.Helper()
			frame, err := client.Get(t.Context(), "v1/acme/0/3")
			require.NoError(t, err)
			frame[len(frame)-1] ^= 1
			require.NoError(t, client.Set(t.Context(), "v1/acme/0/3", frame))
		},
		"cut off": func(t *testing.T, client storage.Client) {
			t.Helper()
			frame, err := client.Get(t.Context(), "v1/acme/0/3")
			require.NoError(t, err)
			require.NoError(t, client.Set(t.Context(), "v1/acme/0/3", frame[:4]))
		},
		"something else": func(t *testing.T, client storage.Client) {
			t.Helper()
			require.NoError(t, client.Set(t.Context(), "v1/acme/0/3", []byte("hello")))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client, closer, err := fileStorage(t.Context(), filepath.Clean(t.TempDir()))
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, closer()) })
			store := extstore.New(client, extstore.Settings{})
			for n := range int64(6) {
				_, err := store.Commit(t.Context(), 1, crashBatch(n*2))
				require.NoError(t, err)
			}
			corrupt(t, client)
			var reported []string
			settings := extstore.Settings{OnCorrupt: func(key string, err error) {
				require.ErrorIs(t, err, ledger.ErrCorrupt)
				reported = append(reported, key)
			}}
			for range 2 { // the second time it is sound
				store = extstore.New(client, settings)
				_, events := store.Sizes("acme")
				require.Zero(t, events)
				cov, err := store.Coverage(t.Context(), "acme")
				require.NoError(t, err)
				_, events = store.Sizes("acme")
				require.Equal(t, 11-2, events)
				require.Equal(t, []string{"v1/acme/0/3"}, reported)
				require.Len(t, cov.Gaps(), activity.NumStreams)
				require.Equal(t, cov.Repos[1].Since, cov.Oldest())
			}
			receipt, err := store.Commit(t.Context(), 1, crashBatch(6))
			require.NoError(t, err)
			require.Equal(t, 2, receipt.New, "what was lost is recorded when it is read again")
		})
	}
}

// TestCorruptHead: without the head nothing can be found again. The store says so, begins anew, and is sound from then on.
func TestCorruptHead(t *testing.T) {
	t.Parallel()
	client, closer, err := fileStorage(t.Context(), t.TempDir())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, closer()) })
	require.NoError(t, client.Set(t.Context(), "v1/acme/head", []byte(`{"generation": "first"}`)))
	reported := 0
	settings := extstore.Settings{OnCorrupt: func(key string, err error) {
		require.Equal(t, "v1/acme/head", key)
		require.ErrorIs(t, err, ledger.ErrCorrupt)
		reported++
	}}
	receipt, err := extstore.New(client, settings).Commit(t.Context(), 1, crashBatch(7))
	require.NoError(t, err)
	require.Equal(t, 2, receipt.New)
	again := extstore.New(client, settings)
	receipt, err = again.Commit(t.Context(), 1, crashBatch(7))
	require.NoError(t, err)
	require.Equal(t, 2, receipt.Known)
	require.Equal(t, 1, reported)
}
