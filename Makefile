# Copyright The githubexporter Authors
# SPDX-License-Identifier: Apache-2.0

# Everything a person or CI does with this tree. `make` alone lists the targets.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

MODULE    := github.com/seed-358c4d9d/githubexporter
COLLECTOR := bin/otelcol-githubexporter
GXCTL     := bin/gxctl
CACHE     := .cache
LINT      := go tool -modfile=$(CURDIR)/internal/tools/go.mod golangci-lint
# A module of its own: integrators do not get the requirements of the tests through the built collector.
E2E       := internal/e2e
# One of its own too: nothing else needs the builders of Grafana's dashboards.
DASHBOARDS := internal/tools/dashboards
# The tests of the image and of the packages; a module of its own for the same reason.
RELEASE   := internal/release
# Compiled when it is not installed, which takes minutes. In no go.mod: it requires modules that change every day.
GORELEASER ?= go run github.com/goreleaser/goreleaser/v2@v2.15.1
# The tests of the rules and alerts; a module of its own, because they need Prometheus's parser.
MONITORING := internal/tools/monitoring
# So do those that use the chart and the overlays.
MANIFESTS := internal/tools/manifests

# The programs and files that tests need besides Go code. `make test` fetches them to these places, unless the
# variables name others; `make -s env` prints the variables for a shell.
export GX_PROMETHEUS    ?= $(CURDIR)/$(CACHE)/prometheus/usr/bin/prometheus
export GX_PROMTOOL      ?= $(dir $(GX_PROMETHEUS))promtool
export GX_REDIS         ?= $(CURDIR)/$(CACHE)/redis/redis-server
export GX_RABBITMQ      ?= $(CURDIR)/$(CACHE)/rabbitmq/rabbitmq-server
export GX_CHROMIUM      ?= $(CURDIR)/$(CACHE)/chromium/chromium
export GX_SYSTEMD_ANALYZE ?= $(CURDIR)/$(CACHE)/systemd/systemd-analyze
export GX_GITHUB_SCHEMA ?= $(CURDIR)/$(CACHE)/github-schema/schema.graphql
export GX_COLLECTOR     ?= $(CURDIR)/$(COLLECTOR)
export GX_CTL           ?= $(CURDIR)/$(GXCTL)
# The collector that the components' lowest requirements make: the other end of the supported range.
export GX_COLLECTOR_OLDEST ?= $(CURDIR)/$(COLLECTOR)-oldest

# The same for `make test-kubernetes`.
export GX_ETCD           ?= $(CURDIR)/$(CACHE)/etcd/usr/bin/etcd
export GX_KUBE_APISERVER ?= $(CURDIR)/$(CACHE)/kube-apiserver/kube-apiserver

# The same for `make test-image`.
export GX_PODMAN         ?= $(CURDIR)/$(CACHE)/podman/podman
export GX_IMAGE_BASES    ?= $(CURDIR)/$(CACHE)/image-bases

FUZZTIME      ?= 30s
FUZZPARALLEL  ?= 2
BENCH         ?= .
TESTTIMEOUT   ?= 40m
# Tests through the built collector wait most of the time.
E2EPARALLEL   ?= 3
KUBERNETES    := ./internal/election/kubelease/...
# The build tag of tests that need a server, a fetched file or more than a few seconds.
INTEGRATION   := -tags integration

##@ Build and run

.PHONY: help
help: ## List the targets
	@awk 'BEGIN { FS = ":.*## " } \
		/^##@ / { printf "\n%s\n", substr($$0, 5) } \
		/^[a-z0-9-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

.PHONY: build
build: ## Build the collector with ocb: bin/otelcol-githubexporter, and bin/gxctl
	@scripts/build-programs bin

.PHONY: build-oldest
build-oldest: ## Build the collector from the oldest supported versions: bin/otelcol-githubexporter-oldest
	@mkdir -p _build
	@scripts/oldest-versions builder-config.yaml > _build/builder-config.oldest.yaml
	@scripts/build-collector _build/builder-config.oldest.yaml ocb-oldest $(COLLECTOR)-oldest

.PHONY: demo
demo: test-deps build ## Run the collector against a scripted GitHub, with Prometheus and dashboards; Ctrl-C ends it
	@go build -o bin/gxdemo ./internal/demo/cmd/gxdemo
	@scripts/demo

.PHONY: pictures
pictures: test-deps build ## Take the pictures of the dashboards in docs/images from the demo (4 minutes)
	@go build -o bin/gxdemo ./internal/demo/cmd/gxdemo
	@scripts/pictures

.PHONY: redis-ha
redis-ha: test-deps build ## Run three replicas on Redis against a scripted GitHub, with Prometheus; Ctrl-C ends it
	@go build -o bin/githubtest ./internal/github/githubtest/cmd/githubtest
	@scripts/redis-ha

.PHONY: run
run: run-settings build ## Run the collector against github.com: GITHUB_TOKEN=... make run GITHUB_ORG=name
	@scripts/run

# Before the build: a missing setting should not cost minutes.
.PHONY: run-settings
run-settings:
	@scripts/run --check

##@ Source

.PHONY: generate
generate: test-deps ## Regenerate code, the reference of the configuration and dashboards; check GraphQL
	go generate ./...
	cd internal/tools/configref && go generate .
	cd $(DASHBOARDS) && go run . ../../../deploy/grafana
	cp deploy/prometheus/alerts.yaml deploy/prometheus/recording*.yaml deploy/helm/githubexporter/files/
	go test $(INTEGRATION) -run '(?i)graphql' ./internal/github

.PHONY: fmt
fmt: ## Format the Go code
	$(LINT) fmt
	cd $(E2E) && $(LINT) fmt
	cd $(DASHBOARDS) && $(LINT) fmt
	cd $(RELEASE) && $(LINT) fmt
	cd $(MONITORING) && $(LINT) fmt
	cd $(MANIFESTS) && $(LINT) fmt

.PHONY: lint
lint: ## Lint the Go code, the scripts and the words
	$(LINT) run
	cd $(E2E) && $(LINT) run
	cd $(DASHBOARDS) && $(LINT) run
	cd $(RELEASE) && $(LINT) run
	cd $(MONITORING) && $(LINT) run
	cd $(MANIFESTS) && $(LINT) run
	cd internal/tools && go vet ./...
	cd internal/tools/configref && go vet .
	scripts/lint-shell
	@$(MAKE) --no-print-directory lint-words

.PHONY: lint-words
lint-words: ## Check names, words and the length of lines against the vocabulary of docs/glossary.md
	@cd internal/tools && go run ./wordcheck ../..

.PHONY: lint-selftest
lint-selftest: ## Prove that the architecture rules of .golangci.yaml fire
	cd internal/tools && go test -count=1 ./...
	cd internal/tools/configref && go test -count=1 .

.PHONY: tidy
tidy: ## Tidy go.mod and go.sum of all modules
	@scripts/each-module go mod tidy

##@ Test

.PHONY: test
test: test-deps build build-oldest ## Run every test, through the built collector and a real Prometheus too
	go test -race $(INTEGRATION) -timeout $(TESTTIMEOUT) ./...
	cd $(RELEASE) && go test -timeout $(TESTTIMEOUT) ./...
	cd $(MONITORING) && go test -count=1 -timeout $(TESTTIMEOUT) ./...
	cd $(MANIFESTS) && go test $(INTEGRATION) -timeout $(TESTTIMEOUT) ./...
	cd $(E2E) && go test -race -timeout $(TESTTIMEOUT) -parallel $(E2EPARALLEL) ./...

.PHONY: test-unit
test-unit: ## Run the quick tests: in memory, within a minute; they need nothing but Go
	go test ./...

.PHONY: race
race: ## Run the quick tests under the race detector
	go test -race ./...

.PHONY: test-integration
test-integration: test-deps ## Run the quick tests and those that need Redis, RabbitMQ, GitHub's schema or minutes
	go test $(INTEGRATION) -timeout $(TESTTIMEOUT) ./...

.PHONY: test-e2e
test-e2e: test-deps build build-oldest ## Run only the tests through the built collector
	cd $(E2E) && go test -race -timeout $(TESTTIMEOUT) -parallel $(E2EPARALLEL) -v ./...

.PHONY: test-release
test-release: test-deps build ## Test the image, the packages and their unit, and that two builds are the same bytes
	cd $(RELEASE) && go test -timeout $(TESTTIMEOUT) -v ./...

.PHONY: test-rules
test-rules: test-deps ## Check and test the rules, alerts and the mixin of deploy/prometheus, and the runbook
	cd $(MONITORING) && go test -count=1 -timeout $(TESTTIMEOUT) ./...
.PHONY: test-manifests
test-manifests: test-deps build ## Run the tests of the Helm chart and the kustomize overlays
	cd $(MANIFESTS) && go test $(INTEGRATION) -timeout $(TESTTIMEOUT) -v ./...

.PHONY: test-image
test-image: image-test-deps build ## Build the Dockerfile with podman, and run the image read-only; needs namespaces
	cd $(RELEASE) && go test -count=1 -timeout $(TESTTIMEOUT) -tags image -v -run TestContainer ./...

.PHONY: test-kubernetes
test-kubernetes: kube-test-deps test-deps build ## Run the election, and apply all manifests, on a real API server
	go test -race -timeout $(TESTTIMEOUT) -parallel 8 -tags kubernetes $(KUBERNETES) # they wait for leases
	cd $(MANIFESTS) && go test -timeout $(TESTTIMEOUT) -tags kubernetes ./...

.PHONY: test-upgrade
test-upgrade: test-deps build ## Mix versions on one Redis, and upgrade both stores: make test-upgrade FROM=commit
	@scripts/build-version "$(FROM)" $(COLLECTOR)-before
	cd $(E2E) && GX_COLLECTOR_BEFORE="$(CURDIR)/$(COLLECTOR)-before" \
		go test -count=1 -race -tags upgrade -timeout $(TESTTIMEOUT) -v \
		-run 'TestRollingUpdate|TestMixedVersions|Upgrade' .

.PHONY: simulate
simulate: ## Simulate a day of large organizations against a GitHub that enforces all limits (20 minutes)
	GX_SIMULATE=day go test $(INTEGRATION) -count=1 -timeout 120m -v -run TestDayAtScale ./internal/collect

.PHONY: bench
bench: test-deps ## Run the benchmarks; BENCH=regexp chooses
	go test $(INTEGRATION) -run '^$$' -bench '$(BENCH)' -benchmem ./...

.PHONY: fuzz
fuzz: ## Run every fuzz target for FUZZTIME (30s)
	@scripts/fuzz "$(FUZZTIME)" "$(FUZZPARALLEL)"

.PHONY: test-deps
test-deps: ## Fetch what the tests need besides Go into .cache/: Prometheus, Redis, RabbitMQ, GitHub's schema
	@scripts/install-test-deps "$(CURDIR)/$(CACHE)"

.PHONY: image-test-deps
image-test-deps: ## Fetch podman and what stands for the base images into .cache/
	@scripts/install-image-test-deps "$(CURDIR)/$(CACHE)"

.PHONY: kube-test-deps
kube-test-deps: ## Fetch etcd and compile kube-apiserver into .cache/; the first time takes minutes
	@scripts/install-kube-test-deps "$(CURDIR)/$(CACHE)"

##@ Release

.PHONY: release-snapshot
release-snapshot: ## Make all files of a release from the committed state, without publishing, in dist/; takes minutes
	@GORELEASER="$(GORELEASER)" scripts/release-snapshot dist

.PHONY: check-reproducible
check-reproducible: ## Build the programs twice with empty caches, and fail when a byte differs; takes minutes
	@scripts/check-reproducible

##@ Check

.PHONY: check
check: check-static test ## Everything CI checks but test-kubernetes: format, generated code, vet, lint, build, tests

.PHONY: check-static
check-static: check-fmt check-tidy check-generate vet lint lint-selftest ## All of check but the build and the tests

.PHONY: check-fmt
check-fmt: ## Fail when the Go code is not formatted
	$(LINT) fmt --diff
	cd $(E2E) && $(LINT) fmt --diff
	cd $(DASHBOARDS) && $(LINT) fmt --diff
	cd $(RELEASE) && $(LINT) fmt --diff
	cd $(MONITORING) && $(LINT) fmt --diff
	cd $(MANIFESTS) && $(LINT) fmt --diff

.PHONY: check-tidy
check-tidy: ## Fail when go.mod or go.sum is not tidy
	@scripts/each-module go mod tidy -diff

.PHONY: check-generate
check-generate: ## Fail when generated files are not up to date
	@scripts/check-generate

.PHONY: vet
vet: ## Run go vet
	go vet ./...
	go vet $(INTEGRATION) ./...
	cd $(E2E) && go vet -tags upgrade ./...
	cd $(RELEASE) && go vet -tags image ./...
	cd $(MANIFESTS) && go vet -tags kubernetes ./... && go vet $(INTEGRATION) ./...
	go vet -tags kubernetes $(KUBERNETES)

.PHONY: env
env: ## Print the variables the tests read, for eval "$(make -s env)"
	@printf 'export %s=%q\n' GX_PROMETHEUS "$$GX_PROMETHEUS" GX_PROMTOOL "$$GX_PROMTOOL" GX_REDIS "$$GX_REDIS" \
		GX_RABBITMQ "$$GX_RABBITMQ" GX_CHROMIUM "$$GX_CHROMIUM" GX_SYSTEMD_ANALYZE "$$GX_SYSTEMD_ANALYZE" \
		GX_GITHUB_SCHEMA "$$GX_GITHUB_SCHEMA" GX_COLLECTOR "$$GX_COLLECTOR" \
		GX_CTL "$$GX_CTL" GX_COLLECTOR_OLDEST "$$GX_COLLECTOR_OLDEST" \
		GX_ETCD "$$GX_ETCD" GX_KUBE_APISERVER "$$GX_KUBE_APISERVER"

.PHONY: clean
clean: ## Remove what the targets above made
	rm -rf _build bin dist $(CACHE)
