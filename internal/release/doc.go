// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

// Package release tests what a release consists of: the image, the packages with their unit, the bills of materials,
// the versions, and that two builds are the same bytes. `make release-snapshot` and `make test-image` make the real
// ones, with goreleaser and with podman.
package release
