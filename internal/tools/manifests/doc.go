// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

// Package manifests renders the Helm chart and the kustomize overlays of deploy, and its tests check and run the
// result. It is a module of its own: integrators do not get the requirements of Helm and kustomize.
package manifests
