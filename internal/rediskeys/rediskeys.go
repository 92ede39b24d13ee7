// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

// Package rediskeys builds the names of keys in Redis: the prefix, the version and the tag. The part after them is
// named by the package that owns the key, such as redisstore. The names are a stored format: replicas of other versions
// use them too.
//
//	<prefix>:1:<name>          of a deployment
//	<prefix>:1:{<tag>}:<name>  of an organization, a lease or a credential
//
// The 1 is the version of the layout. The keys of one tag are in one slot of a cluster, so that a script or a
// transaction may use all of them.
package rediskeys

import "strings"

// layoutVersion is the version of the layout, a part of all names.
const layoutVersion = "1"

// Prefix is what all keys of a deployment begin with, the setting key_prefix.
type Prefix string

// Deployment names a key that has no tag.
func (p Prefix) Deployment(name string) string { return string(p) + ":" + layoutVersion + ":" + name }

// Org names a key of an organization. GitHub ignores case in organizations, and so do their keys.
func (p Prefix) Org(org, name string) string { return p.tagged(strings.ToLower(org), name) }

// Lease names a key of a lease.
func (p Prefix) Lease(lease, name string) string { return p.tagged("lease/"+lease, name) }

// Budget names a key of a credential's budget of GitHub's limits.
func (p Prefix) Budget(credential, name string) string { return p.tagged("budget:"+credential, name) }

// tagged names a key with a tag.
func (p Prefix) tagged(tag, name string) string { return p.Deployment("{" + tag + "}:" + name) }
