// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

// Package local is the part that the stores in this process share: memstore, extstore and the mirror of fallback.
//
// State is the ledger of one organization in memory. Plan returns the change that a batch makes, so that a durable
// store can write the change first; Apply makes the change; Snapshot returns the state as changes. Store has a State
// for each organization, follows it with a feed, and writes its changes to a Journal, if it has one.
package local
