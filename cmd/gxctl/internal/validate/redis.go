// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package validate

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/seed-358c4d9d/githubexporter/internal/redisconn"
)

// checkRedis checks the servers of a configuration; nothing where there are none. name is the first word of the checks.
func checkRedis(ctx context.Context, results *report, name string, config *redisconn.Config) {
	if !config.Enabled() {
		return
	}
	subject := strings.Join(config.Endpoints, ", ")
	client, err := config.Connect(ctx)
	if err != nil {
		results.add(name+" connection", subject, StatusFail, oneLine(err.Error()), "correct the settings of tls")
		return
	}
	defer func() { _ = client.Close() }()
	servers, err := redisconn.Inspect(ctx, client, config.KeyPrefix)
	if err != nil {
		results.add(name+" connection", subject, StatusFail, oneLine(err.Error()),
			"check endpoints, mode, username, password and tls, and that the network lets this machine connect")
		return
	}
	results.add(name+" connection", subject, StatusOK, fmt.Sprintf("%d servers accept the user", len(servers)), "")
	for i := range servers {
		checkRedisServer(results, name, &servers[i])
	}
}

// checkRedisServer checks what a server says of itself.
func checkRedisServer(results *report, name string, s *redisconn.Server) {
	add := func(check string, status Status, reason, action string) {
		results.add(name+" "+check, s.Address, status, reason, action)
	}
	if s.IsReplica {
		add("role", StatusFail, "it is a replica, which refuses writes",
			"use the address of the master, or mode sentinel or cluster")
		return
	}
	if isOlder(s.Version, 6, 2) {
		add("version", StatusFail, s.Version+" is too old", "use Redis 6.2 or newer")
	} else {
		add("version", StatusOK, s.Version, "")
	}
	if len(s.Denied) > 0 {
		add("permissions", StatusFail, "the user may not use "+strings.Join(s.Denied, ", "),
			"give it the rights that docs/redis.md lists")
	} else {
		add("permissions", StatusOK, "the user may use all commands and keys that are needed", "")
	}
	status, reason, action := clockResult(s.Skew, "Redis")
	add("clock", status, reason, action)
	if s.Info == nil {
		const reason = "the user may not use INFO"
		add("eviction", StatusSkip, reason, "to have it checked, give it +info")
		add("persistence", StatusSkip, reason, "to have it checked, give it +info")
		return
	}
	status, reason, action = evictionResult(s.Info)
	add("eviction", status, reason, action)
	status, reason, action = persistenceResult(s.Info)
	add("persistence", status, reason, action)
}

// evictionResult returns what the eviction policy means.
func evictionResult(info *redisconn.ServerInfo) (status Status, reason, action string) {
	const want = "set maxmemory-policy noeviction, or use a Redis of its own"
	switch {
	case info.Policy == "noeviction":
		return StatusOK, "maxmemory-policy is noeviction", ""
	case info.HasMaxMemory:
		return StatusFail, "maxmemory-policy is " + info.Policy + ": keys may be evicted", want
	default:
		return StatusWarn, "maxmemory-policy is " + info.Policy + ", without maxmemory: once it is set keys may be " +
			"evicted", want
	}
}

// persistenceResult returns what a restart of the server would lose.
func persistenceResult(info *redisconn.ServerInfo) (status Status, reason, action string) {
	const want = "set appendonly yes"
	switch {
	case info.WriteError != "":
		return StatusFail, info.WriteError + ": Redis cannot write to its disk", "look at the log and the disk of Redis"
	case info.AppendOnly:
		return StatusOK, "appendonly is yes", ""
	case info.Unsaved:
		return StatusWarn, "appendonly is no and nothing has been saved for an hour: a restart loses everything", want
	default:
		return StatusWarn, "appendonly is no: a restart loses what came after the last snapshot", want
	}
}

// isOlder reports whether a version such as 7.0.15 is older than major.minor. One that cannot be read is not.
func isOlder(version string, major, minor int) bool {
	parts := strings.SplitN(version, ".", 3)
	if len(parts) < 2 {
		return false
	}
	gotMajor, err := strconv.Atoi(parts[0])
	gotMinor, err2 := strconv.Atoi(parts[1])
	if err != nil || err2 != nil {
		return false
	}
	return gotMajor < major || (gotMajor == major && gotMinor < minor)
}
