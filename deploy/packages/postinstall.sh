#!/bin/sh
# Copyright The githubexporter Authors
# SPDX-License-Identifier: Apache-2.0

# After the installation, and after an upgrade: a service that runs is restarted, one that does not is not started.
set -e

if [ -d "${DPKG_ROOT:-}/run/systemd/system" ]; then
  systemctl daemon-reload
  systemctl try-restart otelcol-githubexporter.service
fi
