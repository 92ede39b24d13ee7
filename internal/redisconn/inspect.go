// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package redisconn

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// Server is what a Redis server says of itself, and what the user may do there.
type Server struct {
	Address, Version string
	// IsReplica says that it refuses writes.
	IsReplica bool
	// Skew is how far its clock is ahead of the local one.
	Skew time.Duration
	// Denied are the commands, and "keys PREFIX*", that the user needs and may not use.
	Denied []string
	// Info is what INFO says; nil when the user may not use it.
	Info *ServerInfo
}

// ServerInfo is what INFO says of a server.
type ServerInfo struct {
	// Policy is maxmemory-policy. HasMaxMemory says that there is a limit at which it applies.
	Policy       string
	HasMaxMemory bool
	// AppendOnly says that there is an append-only file. Unsaved says that there is none, and no recent snapshot.
	AppendOnly, Unsaved bool
	// WriteError says why the last write to the disk failed; empty when it did not.
	WriteError string
}

// Inspect reads what each master says of itself, and finds out what the user may do with keys of a prefix. It changes
// nothing.
func Inspect(ctx context.Context, universal redis.UniversalClient, prefix string) ([]Server, error) {
	if wrapped, ok := universal.(*client); ok {
		universal = wrapped.UniversalClient
	}
	var mu sync.Mutex
	var servers []Server
	inspect := func(ctx context.Context, one *redis.Client) error {
		server, err := inspectServer(ctx, one, prefix)
		if err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		servers = append(servers, server)
		return nil
	}
	var err error
	switch of := universal.(type) {
	case *redis.ClusterClient:
		err = of.ForEachMaster(ctx, inspect)
	case *redis.Client:
		err = inspect(ctx, of)
	default:
		err = fmt.Errorf("a client of an unknown type %T", universal)
	}
	slices.SortFunc(servers, func(a, b Server) int { return strings.Compare(a.Address, b.Address) })
	return servers, err
}

// inspectServer inspects one server.
func inspectServer(ctx context.Context, one *redis.Client, prefix string) (Server, error) {
	server := Server{Address: one.Options().Addr}
	hello, err := one.Do(ctx, "hello").Result()
	if err != nil {
		return server, err
	}
	server.Version, server.IsReplica = helloField(hello, "version"), helloField(hello, "role") != "master"
	if !server.IsReplica { // it refuses writes, whatever the permissions are
		if server.Denied, err = deniedCommands(ctx, one, prefix); err != nil {
			return server, err
		}
	}
	before := time.Now()
	now, err := one.Time(ctx).Result()
	if err == nil {
		server.Skew = now.Sub(before.Add(time.Since(before) / 2)) // half of the way there and back
	} else if !redis.IsPermissionError(err) {
		return server, err
	}
	server.Info, err = inspectInfo(ctx, one)
	if redis.IsPermissionError(err) {
		err = nil
	}
	return server, err
}

// helloField returns a field of the response to HELLO, which is a map, or a list of names and values.
func helloField(hello any, name string) string {
	switch of := hello.(type) {
	case map[any]any:
		return fmt.Sprint(of[name])
	case []any:
		for i := 0; i+1 < len(of); i += 2 {
			if of[i] == name {
				return fmt.Sprint(of[i+1])
			}
		}
	}
	return ""
}

// inspectInfo reads INFO.
func inspectInfo(ctx context.Context, one *redis.Client) (*ServerInfo, error) {
	memory, err := readInfo(ctx, one, "memory")
	if err != nil {
		return nil, err
	}
	persistence, err := readInfo(ctx, one, "persistence")
	if err != nil {
		return nil, err
	}
	info := &ServerInfo{
		Policy: memory["maxmemory_policy"], HasMaxMemory: memory["maxmemory"] != "0",
		AppendOnly: persistence["aof_enabled"] == "1", Unsaved: isUnsaved(persistence, time.Now()),
	}
	for _, field := range []string{"aof_last_write_status", "rdb_last_bgsave_status"} {
		if status := persistence[field]; status != "" && status != "ok" {
			info.WriteError = field + " is " + status
		}
	}
	return info, nil
}

// neededCommands returns the commands that the ledger, leases, claims and budgets use, with arguments for a key. A
// client also uses HELLO, CLIENT SETNAME, PING, MULTI and EXEC.
func neededCommands(key string) [][]any {
	return [][]any{
		{"evalsha", strings.Repeat("0", 40), 1, key},
		{"eval", "return 1", 1, key},
		{"script", "load", "return 1"},
		{"hget", key, "f"},
		{"hmget", key, "f"},
		{"hgetall", key},
		{"hset", key, "f", "v"},
		{"hsetnx", key, "f", "v"},
		{"hdel", key, "f"},
		{"hincrby", key, "f", 1},
		{"hlen", key},
		{"hscan", key, 0},
		{"sadd", key, "m"},
		{"srem", key, "m"},
		{"scard", key},
		{"smismember", key, "m"},
		{"zadd", key, 1, "m"},
		{"zcard", key},
		{"zrem", key, "m"},
		{"zremrangebyscore", key, 0, 1},
		{"xadd", key, "*", "f", "v"},
		{"xread", "streams", key, "0"},
		{"xrange", key, "-", "+"},
		{"xtrim", key, "maxlen", 0},
		{"get", key},
		{"set", key, "v"},
		{"del", key},
		{"pexpire", key, 1},
		{"time"},
	}
}

// deniedCommands returns the commands that the user may not use. Redis checks the permission of a command before it
// queues it in a transaction. The transaction is never executed: its connection is closed.
func deniedCommands(ctx context.Context, one *redis.Client, prefix string) (denied []string, err error) {
	options := *one.Options()
	options.PoolSize, options.MinIdleConns, options.MaxRetries = 1, 0, -1 // one connection that is never replaced
	own := redis.NewClient(&options)
	defer func() { _ = own.Close() }()
	for _, command := range []string{"ping", "multi", "exec"} {
		if err := own.Do(ctx, command).Err(); redis.IsPermissionError(err) {
			denied = append(denied, command)
		} else if err != nil && len(denied) == 0 { // without MULTI there is no EXEC
			return nil, fmt.Errorf("%s: %w", command, err)
		}
	}
	if len(denied) > 0 {
		return denied, nil // without a transaction the commands below would be executed
	}
	commands := neededCommands(prefix + ":1:{gxctl}:check")
	replies := make([]*redis.Cmd, len(commands))
	pipeline := own.Pipeline()
	begun := pipeline.Do(ctx, "multi")
	for i, command := range commands {
		replies[i] = pipeline.Do(ctx, command...)
	}
	_, _ = pipeline.Exec(ctx) // the replies have the errors
	if err := begun.Err(); err != nil {
		return nil, fmt.Errorf("multi: %w", err)
	}
	for i, reply := range replies {
		err := reply.Err()
		name := commandName(commands[i])
		switch {
		case err == nil || (!redis.IsPermissionError(err) && redis.HasErrorPrefix(err, "MOVED")):
			continue // in a cluster the key may belong to another server
		case !redis.IsPermissionError(err):
			return nil, fmt.Errorf("%s: %w", name, err)
		case strings.Contains(err.Error(), " key"):
			name = "keys " + prefix + ":*"
		}
		if !slices.Contains(denied, name) {
			denied = append(denied, name)
		}
	}
	return denied, nil
}

// commandName returns the name of a command as ACL rules have it.
func commandName(command []any) string {
	if command[0] == "script" {
		return "script|load"
	}
	return fmt.Sprint(command[0])
}
