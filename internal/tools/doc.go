// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

// Package tools is a module of its own: it pins the tools that check this repository, and its tests prove that the
// rules of those checks fire.
package tools
