// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubexporter

//go:generate go tool -modfile=../../internal/tools/mdatagen/go.mod mdatagen metadata.yaml
