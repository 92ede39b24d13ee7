#!/bin/sh
# Copyright The githubexporter Authors
# SPDX-License-Identifier: Apache-2.0

# Before the removal: $1 is "remove" with dpkg and 0 with rpm. An upgrade stops nothing.
set -e

case "$1" in
remove | 0)
  if [ -d "${DPKG_ROOT:-}/run/systemd/system" ]; then
    systemctl disable --now otelcol-githubexporter.service
  fi
  ;;
esac
