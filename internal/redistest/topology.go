// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package redistest

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/proctest"
)

// topologyTimeout limits the start of a topology.
const topologyTimeout = 30 * time.Second

// Sentinels are a master with a replica, and the three Sentinels that monitor them.
type Sentinels struct {
	// MasterName is the Sentinels' name of the master.
	MasterName string
	// Servers are the initial master and its replica.
	Servers [2]*Server
	// Addresses are those of the Sentinels.
	Addresses []string
}

// StartSentinels starts servers and Sentinels. A master that is down for a second is replaced.
func StartSentinels(tb testing.TB) *Sentinels {
	tb.Helper()
	s := &Sentinels{MasterName: "gx"}
	s.Servers[0] = Start(tb, "appendonly yes")
	s.Servers[1] = Start(tb, "appendonly yes", "replicaof 127.0.0.1 "+strconv.Itoa(s.Servers[0].Port()))
	for range 3 {
		sentinel := newServer(tb, []string{
			fmt.Sprintf("sentinel monitor %s 127.0.0.1 %d 2", s.MasterName, s.Servers[0].Port()),
			"sentinel down-after-milliseconds " + s.MasterName + " 1000",
			"sentinel failover-timeout " + s.MasterName + " 5000",
		}, "--sentinel")
		sentinel.Run()
		s.Addresses = append(s.Addresses, sentinel.Address)
	}
	for _, address := range s.Addresses {
		client := redis.NewSentinelClient(&redis.Options{Addr: address})
		require.Eventually(tb, func() bool {
			others, err := client.Sentinels(tb.Context(), s.MasterName).Result()
			replicas, err2 := client.Replicas(tb.Context(), s.MasterName).Result()
			return err == nil && err2 == nil && len(others) == 2 && len(replicas) == 1
		}, topologyTimeout, 50*time.Millisecond, "the Sentinels do not find each other")
		require.NoError(tb, client.Close())
	}
	return s
}

// StartCluster starts three masters with a replica each, and returns the masters before the replicas. A master that is
// down for two seconds is replaced.
func StartCluster(tb testing.TB) []*Server {
	tb.Helper()
	const masters = 3
	nodes := make([]*Server, 2*masters)
	buses := make([]string, len(nodes))
	for i := range nodes {
		buses[i] = strconv.Itoa(proctest.Port(tb, proctest.FreeAddress(tb)))
		nodes[i] = Start(tb, "cluster-enabled yes", "cluster-node-timeout 2000", "cluster-port "+buses[i],
			"appendonly yes")
	}
	ctx := tb.Context()
	ids := make([]string, len(nodes))
	for i, node := range nodes {
		var err error
		ids[i], err = node.Client().Do(ctx, "CLUSTER", "MYID").Text()
		require.NoError(tb, err)
		require.NoError(tb, nodes[0].Client().Do(ctx, "CLUSTER", "MEET", "127.0.0.1", node.Port(), buses[i]).Err())
		if i < masters {
			const slots = 16384
			require.NoError(tb, node.Client().Do(ctx, "CLUSTER", "ADDSLOTSRANGE", i*slots/masters,
				(i+1)*slots/masters-1).Err())
		}
	}
	for i, node := range nodes[masters:] {
		client := node.Client()
		require.Eventually(tb, func() bool {
			return client.Do(ctx, "CLUSTER", "REPLICATE", ids[i]).Err() == nil
		}, topologyTimeout, 50*time.Millisecond, "the nodes do not find each other")
	}
	for _, node := range nodes {
		awaitCluster(ctx, tb, node, masters)
	}
	return nodes
}

// awaitCluster waits until a node has all slots and a connected replica of each master.
func awaitCluster(ctx context.Context, tb testing.TB, node *Server, masters int) {
	tb.Helper()
	client := node.Client()
	require.Eventually(tb, func() bool {
		info, err := client.ClusterInfo(ctx).Result()
		nodes, err2 := client.ClusterNodes(ctx).Result()
		link, err3 := client.Info(ctx, "replication").Result()
		return err == nil && err2 == nil && err3 == nil && strings.Contains(info, "cluster_state:ok") &&
			strings.Count(nodes, "slave") == masters && !strings.Contains(link, "master_link_status:down")
	}, topologyTimeout, 50*time.Millisecond, "the cluster does not come up")
}
