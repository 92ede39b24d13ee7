// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest"
	"github.com/seed-358c4d9d/githubexporter/internal/proctest"
)

const fullDiskConfig = `
extensions:
  file_storage: {directory: %[1]q}
  replica_health: {endpoint: %[2]s}
  healthcheckv2:
    use_v2: true
    component_health: {include_permanent_errors: true, include_recoverable_errors: true}
    http: {endpoint: %[3]s, status: {enabled: true, path: /status, include_attributes: true}}
receivers:
  githubexporter:
    orgs: [{name: %[4]s, auth: {token: %[5]s}, scrape_interval: 1s, lookback: 1440h}]
    github: {endpoint: %[6]q, health: {probe_interval: 1s}}
    storage: file_storage
    retention: 1440h
    emit_interval: 1s
exporters: {prometheus: {endpoint: %[7]s, without_scope_info: true, metric_expiration: 10m}}
service:
  extensions: [file_storage, replica_health, healthcheckv2]
  telemetry: {metrics: {level: none}, logs: {sampling: {enabled: false}}}
  pipelines: {metrics: {receivers: [githubexporter], exporters: [prometheus]}}
`

// onSmallDisk is a script that runs a program with a file system of 4 MiB on the folder $1, in a mount namespace of its
// own. The disk is full while the file $2 exists; $2.done reports that it is full.
const onSmallDisk = `
mount -t tmpfs -o size=4m none "$1" || exit 9
disk=$1
full=$2
shift 2
{
  while :; do
    if [ ! -e "$full" ]; then
      rm -f "$disk/filler"
    elif [ ! -e "$disk/filler" ]; then
      dd if=/dev/zero of="$disk/filler" bs=4k 2>/dev/null
      : >"$full.done"
    fi
    sleep 0.05
  done
} &
exec "$@"
`

// TestFullDisk: while the disk of the embedded store is full, the replica is not ready, with the reason, and passes
// keep their interval; what could not be recorded is recorded when there is space again.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	_, server, timeline := serveData(t, time.Hour, time.Hour)
	server.HideAfter(timeline.Start)
	dir := t.TempDir()
	disk, full := filepath.Join(dir, "disk"), filepath.Join(dir, "full")
	require.NoError(t, os.Mkdir(disk, 0o700))
	r := &replica{health: proctest.FreeAddress(t), collector: &collector{metrics: proctest.FreeAddress(t)}}
	ready := proctest.FreeAddress(t)
	r.ready = []string{"http://" + ready + "/status"}
	config := writeConfig(t, fmt.Sprintf(
		fullDiskConfig, disk, r.health, ready, org, githubtest.DefaultToken, server.URL, r.metrics,
	))
	r.Process = proctest.New(t, "unshare", "-rm", "sh", "-c", onSmallDisk, "sh", disk, full,
		proctest.ProgramPath(t, "GX_COLLECTOR"), "--config", config)
	r.OwnGroup = true
	r.Run()
	awaitLog(t, r.Process, "Everything is ready.")
	r.awaitHealth(t, expectedHealth{"leader", "healthy", "storage", true}, 30*time.Second)
	r.awaitComplete(t, org)

	const more = 8_000
	events := fmt.Sprintf("gh_exporter_store_events{org=%q}", org)
	before := r.count(t.Context(), events)
	require.NoError(t, os.WriteFile(full, nil, 0o600))
	eventually(t, 10*time.Second, func() error {
		_, err := os.Stat(full + ".done")
		return err
	})
	server.ShowAll()
	server.Update(func(d *githubtest.Dataset) {
		at := timeline.ToData(time.Now().Add(-time.Second))
		repo := d.Comments[0].Repo
		for i := range more {
			d.Comments = append(d.Comments, githubtest.Comment{
				Repo: repo, Issue: 1, ID: int64(77_000_000 + i), Login: new("user-1"), CreatedAt: at, UpdatedAt: at,
			})
		}
	})
	r.awaitHealth(t, expectedHealth{"leader", "unhealthy", "storage", false}, 30*time.Second)
	r.awaitReason(t, "storage", "no space left on device")
	began, output := time.Now(), len(r.Output())
	ended := func() int { return strings.Count(r.Output()[output:], "Pass ended.") }
	eventually(t, 30*time.Second, func() error {
		if ended() < 3 {
			return fmt.Errorf("%d passes", ended())
		}
		return nil
	})
	require.LessOrEqual(t, ended(), int(time.Since(began).Seconds()*1.5)+1, "passes come as often as ever")
	require.NoError(t, r.checkContrib(t, expectedHealth{"leader", "unhealthy", "storage", false}))
	require.Equal(t, 1, countFailureLines(r.Output()), "the failure is logged once")
	require.Less(t, r.count(t.Context(), events), before+more)

	require.NoError(t, os.Remove(full))
	r.awaitHealth(t, expectedHealth{"leader", "healthy", "storage", true}, 30*time.Second)
	eventually(t, time.Minute, func() error {
		if now := r.count(t.Context(), events); now < before+more {
			return fmt.Errorf("%v of %v events are recorded", now-before, more)
		}
		return nil
	})
	r.awaitComplete(t, org)
	require.Less(t, r.count(t.Context(), events), before+more+100, "nothing is recorded twice")
	require.Equal(t, 1, countFailureLines(r.Output()))
	require.Less(t, r.Stop(), time.Second)
}
