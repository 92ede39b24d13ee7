#!/bin/sh
# Copyright The githubexporter Authors
# SPDX-License-Identifier: Apache-2.0

# After the removal. What was recorded, in /var/lib/private/otelcol-githubexporter, and the token stay; `apt purge`
# removes both.
set -e

if [ -d "${DPKG_ROOT:-}/run/systemd/system" ]; then
  systemctl daemon-reload
fi
if [ "$1" = purge ]; then
  root=${DPKG_ROOT:-}
  rm -rf "$root/var/lib/private/otelcol-githubexporter" "$root/var/lib/otelcol-githubexporter"
  rm -f "$root/etc/otelcol-githubexporter/github-token"
  rmdir "$root/etc/otelcol-githubexporter" 2>/dev/null || :
fi
