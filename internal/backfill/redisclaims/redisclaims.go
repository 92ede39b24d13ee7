// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

// Package redisclaims stores the claims of backfill jobs in Redis.
//
//	key                                  type  field   value
//	<prefix>:1:{<organization>}:claims   hash  job id  JSON of backfill.Claim
//
// The 1 is the version of this layout. The organization is in lower case, and the braces put all keys of an
// organization into one slot of a cluster.
package redisclaims

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/seed-358c4d9d/githubexporter/internal/backfill"
	"github.com/seed-358c4d9d/githubexporter/internal/rediskeys"
)

// Settings configure Claims.
type Settings struct {
	// Prefix is the first part of the names of all keys.
	Prefix string
	// TTL is the time for which an organization's claims outlive the last refresh of any of them.
	TTL time.Duration
	// OnCorrupt is called for each stored value that Put cannot have written; List deletes it.
	OnCorrupt func(key string, err error)
}

// Claims stores claims in Redis. It is safe for concurrent use and does not own its client.
type Claims struct {
	client   redis.UniversalClient
	settings Settings
}

var _ backfill.Claims = (*Claims)(nil)

// New returns the claims that client stores under settings.Prefix.
func New(client redis.UniversalClient, settings Settings) *Claims {
	return &Claims{client: client, settings: settings}
}

// claimsKey returns the key of an organization's claims.
func (c *Claims) claimsKey(org string) string {
	return rediskeys.Prefix(c.settings.Prefix).Org(org, "claims")
}

// List implements backfill.Claims. It deletes corrupt values.
func (c *Claims) List(ctx context.Context, org string) ([]backfill.Claim, error) {
	key := c.claimsKey(org)
	fields, err := c.client.HGetAll(ctx, key).Result()
	if err != nil {
		return nil, fmt.Errorf("redis: %w", err)
	}
	list := make([]backfill.Claim, 0, len(fields))
	var corrupt []string
	for id, value := range fields {
		claim, err := decodeClaim(id, value)
		if err != nil {
			corrupt = append(corrupt, id)
			c.settings.OnCorrupt(key, err)
			continue
		}
		list = append(list, claim)
	}
	if len(corrupt) > 0 {
		if err := c.client.HDel(ctx, key, corrupt...).Err(); err != nil {
			return nil, fmt.Errorf("redis: %w", err)
		}
	}
	return list, nil
}

// decodeClaim decodes the value of a field, whose name is the job's id.
func decodeClaim(id, value string) (backfill.Claim, error) {
	var claim backfill.Claim
	if err := json.Unmarshal([]byte(value), &claim); err != nil {
		return claim, fmt.Errorf("the claim of job %.100q: %w", id, err)
	}
	if claim.ID != id || claim.Streams == 0 || !claim.Start.Before(claim.End) || claim.RefreshedAt.IsZero() {
		return claim, fmt.Errorf("the claim of job %.100q has impossible values", id)
	}
	return claim, nil
}

// Put implements backfill.Claims.
func (c *Claims) Put(ctx context.Context, org string, claims []backfill.Claim) error {
	if len(claims) == 0 {
		return nil
	}
	values := make([]any, 0, 2*len(claims))
	for i := range claims {
		value, err := json.Marshal(&claims[i])
		if err != nil {
			return fmt.Errorf("encode a claim: %w", err)
		}
		values = append(values, claims[i].ID, value)
	}
	key := c.claimsKey(org)
	_, err := c.client.Pipelined(ctx, func(p redis.Pipeliner) error {
		p.HSet(ctx, key, values...)
		p.PExpire(ctx, key, c.settings.TTL)
		return nil
	})
	if err != nil {
		return fmt.Errorf("redis: %w", err)
	}
	return nil
}

// Delete implements backfill.Claims.
func (c *Claims) Delete(ctx context.Context, org string, ids []string) error {
	if len(ids) == 0 {
		return nil
	}
	if err := c.client.HDel(ctx, c.claimsKey(org), ids...).Err(); err != nil {
		return fmt.Errorf("redis: %w", err)
	}
	return nil
}
