# syntax=docker/dockerfile:1
# Copyright The githubexporter Authors
# SPDX-License-Identifier: Apache-2.0

# The image: two static programs, the CA certificates and a folder for the embedded store, nothing else.
#
#   docker build --build-arg REVISION=$(git rev-parse HEAD) --tag githubexporter .
#
# A release has the programs in the build context, in a folder named by the platform: nothing is compiled then.
FROM --platform=$BUILDPLATFORM golang:1.26.8-bookworm AS programs
ARG TARGETPLATFORM
ARG TARGETOS
ARG TARGETARCH
ARG REVISION
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build \
    if [ -d "$TARGETPLATFORM" ]; then cp -r "$TARGETPLATFORM" /programs; else \
      GOOS=$TARGETOS GOARCH=$TARGETARCH REVISION=$REVISION scripts/build-programs /programs; fi

FROM --platform=$BUILDPLATFORM alpine:3.22 AS files
RUN mkdir /state

FROM scratch
COPY --from=files /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=files --chown=65532:65532 /state/ /var/lib/otelcol-githubexporter/
COPY deploy/image/passwd deploy/image/group /etc/
COPY deploy/image/config.yaml /etc/otelcol-githubexporter/
COPY LICENSE /usr/share/doc/otelcol-githubexporter/
COPY --from=programs /programs/otelcol-githubexporter /programs/gxctl /usr/bin/
USER 65532:65532
VOLUME /var/lib/otelcol-githubexporter
EXPOSE 9464 13133
HEALTHCHECK --interval=30s --timeout=6s --start-period=60s --retries=3 CMD ["/usr/bin/gxctl", "health"]
ENTRYPOINT ["/usr/bin/otelcol-githubexporter"]
CMD ["--config", "/etc/otelcol-githubexporter/config.yaml"]
