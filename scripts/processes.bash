# Copyright The githubexporter Authors
# SPDX-License-Identifier: Apache-2.0

# Sourced by scripts/demo, scripts/redis-ha and scripts/run: starts programs, watches the metrics page, and stops what
# it started.
# shellcheck shell=bash

names=()
pids=()
work=$(mktemp -d "${TMPDIR:-/tmp}/githubexporter.XXXXXX")
logs=${GX_LOG_DIR:-$work/log}

info() { printf '%s\n' "$*"; }
fail() { printf '%s\n' "$*" >&2; exit 1; }

alive() { kill -0 "$1" 2>/dev/null; }

# stop_all ends the programs, the last one first, with SIGTERM, and after ten seconds with SIGKILL. Their logs are kept.
stop_all() {
  trap '' INT TERM HUP
  local i waited pid
  for ((i = ${#pids[@]} - 1; i >= 0; i--)); do
    pid=${pids[i]}
    kill -TERM "$pid" 2>/dev/null || continue
    for ((waited = 0; waited < 100; waited++)); do
      alive "$pid" || break
      sleep 0.1
    done
    kill -KILL "$pid" 2>/dev/null || :
    wait "$pid" 2>/dev/null || :
  done
  if ((${#names[@]} == 0)); then
    rm -rf "$work"
    return
  fi
  find "$work" -mindepth 1 -maxdepth 1 ! -path "$logs" -exec rm -rf {} +
  rmdir "$work" 2>/dev/null || :
  info "The logs are kept in $logs."
}

end_all() {
  trap '' INT TERM HUP
  info ''
  info 'stopping'
  exit 0
}

trap stop_all EXIT
trap end_all INT TERM HUP

# start NAME COMMAND... runs a program in the background; its output goes to $logs/NAME.log, that of the last run to
# NAME.log.old.
start() {
  local name=$1
  shift
  mkdir -p "$logs"
  [[ ! -e $logs/$name.log ]] || mv -f "$logs/$name.log" "$logs/$name.log.old"
  "$@" >"$logs/$name.log" 2>&1 </dev/null &
  pids+=("$!")
  names+=("$name")
}

# check_all fails, with the end of its log, when a program has ended by itself.
check_all() {
  local i
  for i in "${!pids[@]}"; do
    alive "${pids[i]}" && continue
    printf '%s has ended. The last lines of its log:\n' "${names[i]}" >&2
    tail -n 20 "$logs/${names[i]}.log" >&2
    exit 1
  done
}

# connects HOST PORT succeeds when a server listens there.
connects() { (exec 3<>"/dev/tcp/$1/$2") 2>/dev/null; }

# free_port PORT prints that port of 127.0.0.1, or another one when it is taken.
free_port() {
  local port=$1
  while connects 127.0.0.1 "$port"; do
    port=$((20000 + RANDOM % 12000))
  done
  info "$port"
}

# page PORT PATH prints a page of 127.0.0.1; it needs nothing but bash.
page() {
  (
    exec 3<>"/dev/tcp/127.0.0.1/$1"
    printf 'GET %s HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n' "$2" >&3
    sed '1,/^\r*$/d' <&3
  ) 2>/dev/null || :
}

# sum NAME reads a metrics page and prints the sum of a metric's samples, or "-" when there is none.
sum() { awk -v name="$1" '$1 ~ "^" name "({|$)" { n++; s += $NF } END { if (n) printf "%d", s; else printf "-" }'; }

# start_scripted_github SPEED starts a GitHub that replays $GITHUB_ORG for $GITHUB_TOKEN, and sets GITHUB_ENDPOINT.
start_scripted_github() {
  local port
  port=$(free_port "${GX_GITHUB_PORT:-18080}")
  start github bin/githubtest -listen "127.0.0.1:$port" -org "$GITHUB_ORG=testdata/$GITHUB_ORG" -token "$GITHUB_TOKEN" \
    -pivot 48h -speed "$1"
  until grep -q '^listening on ' "$logs/github.log"; do
    check_all
    sleep 0.1
  done
  GITHUB_ENDPOINT=$(sed -n 's/^listening on //p' "$logs/github.log" | head -n 1)
  export GITHUB_ENDPOINT
  info "A scripted GitHub with the organization $GITHUB_ORG is at $GITHUB_ENDPOINT."
}

# rabbitmq_program PATH prints the program behind the one that a package installs as /usr/sbin/rabbitmq-server, which
# runs for one user and in that user's folder only. Any other program is itself.
rabbitmq_program() {
  local path behind
  path=$(command -v "$1") || fail "there is no program $1"
  behind=$(dirname "$path")/../lib/rabbitmq/bin/$(basename "$path")
  [[ -x $behind ]] || behind=$path
  info "$behind"
}

# port_mapper PROGRAM prints Erlang's port mapper: beside RabbitMQ, where Debian installs Erlang, or on the path.
port_mapper() {
  local bin mapper
  bin=$(dirname "$1")
  for mapper in "$bin/epmd" "$bin"/../../erlang/bin/epmd "$bin"/../../erlang/erts-*/bin/epmd; do
    [[ -x $mapper ]] && info "$mapper" && return
  done
  command -v epmd || fail "Erlang's port mapper (epmd) is neither beside $1 nor on the path"
}

# start_rabbitmq PROGRAM starts RabbitMQ, with its data in $work, and sets RABBITMQ_ENDPOINT. Erlang finds nodes through
# a program of its own, which is started here so that it ends with the rest.
start_rabbitmq() {
  local program port mapper
  program=$(rabbitmq_program "$1")
  mapper=$(port_mapper "$program")
  port=$(free_port 15672)
  ERL_EPMD_PORT=$(free_port 14369)
  export ERL_EPMD_PORT ERL_EPMD_ADDRESS=127.0.0.1
  start epmd "$mapper" -port "$ERL_EPMD_PORT" -address 127.0.0.1
  mkdir -p "$work/rabbitmq"
  printf '%s\n' "listeners.tcp.1 = 127.0.0.1:$port" 'log.console = true' 'log.file = false' \
    'disk_free_limit.absolute = 1MB' \
    >"$work/rabbitmq/rabbitmq.conf"
  printf '[].\n' >"$work/rabbitmq/enabled_plugins"
  HOME=$work/rabbitmq RABBITMQ_NODENAME=githubexporter@localhost RABBITMQ_DIST_PORT=$(free_port 15673) \
    RABBITMQ_CONFIG_FILE=$work/rabbitmq/rabbitmq.conf RABBITMQ_CONF_ENV_FILE=/dev/null \
    RABBITMQ_MNESIA_BASE=$work/rabbitmq/data RABBITMQ_LOG_BASE=$work/rabbitmq/log RABBITMQ_PID_FILE=$work/rabbitmq/pid \
    RABBITMQ_ENABLED_PLUGINS_FILE=$work/rabbitmq/enabled_plugins \
    RABBITMQ_ALLOW_INPUT=1 RABBITMQ_SERVER_START_ARGS=-noinput \
    RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS='+S 2:2 -kernel inet_dist_use_interface {127,0,0,1}' \
    start rabbitmq "$program"
  RABBITMQ_ENDPOINT=127.0.0.1:$port
  export RABBITMQ_ENDPOINT
  info "RabbitMQ is starting at $RABBITMQ_ENDPOINT."
  until connects 127.0.0.1 "$port"; do
    check_all
    sleep 0.1
  done
}

# start_collector CONFIG starts the collector on free ports.
start_collector() {
  metrics_port=$(free_port "${GX_METRICS_PORT:-9464}")
  health_port=$(free_port "${GX_HEALTH_PORT:-13133}")
  ready_port=$(free_port "${GX_READY_PORT:-13134}")
  live_port=$(free_port "${GX_LIVE_PORT:-13135}")
  GX_TELEMETRY_PORT=$(free_port "${GX_TELEMETRY_PORT:-8888}")
  export GX_TELEMETRY_PORT
  export GX_METRICS_ENDPOINT=127.0.0.1:$metrics_port GX_HEALTH_ENDPOINT=127.0.0.1:$health_port
  export GX_READY_ENDPOINT=127.0.0.1:$ready_port GX_LIVE_ENDPOINT=127.0.0.1:$live_port
  start collector bin/otelcol-githubexporter --config "$1"
}

# refusal prints why nothing can be read, from the health page, and nothing while the first pass is under way or when
# all is well.
refusal() {
  local detail
  detail=$(page "$health_port" /healthz | sed -n \
    's/.*"github_access":{"healthy":false,"required":[a-z]*,"since":"[^"]*","detail":"\(\([^"\\]\|\\.\)*\)".*/\1/p')
  printf -v detail '%b' "$detail"
  [[ -n $detail && $detail != *'nothing has been read yet' ]] || return 0
  info "cannot be read: ${detail//nothing has been read yet: /}"
  case $detail in
    *'credential refused'*) info "          GitHub refuses GITHUB_TOKEN: is it complete, and has it not ended?" ;;
    *'not found'* | *'Could not resolve'*)
      info "          is GITHUB_ORG=$GITHUB_ORG an organization that GITHUB_TOKEN may see?"
      ;;
    *forbidden*)
      info "          GITHUB_TOKEN may not read $GITHUB_ORG: see Permissions in receiver/githubexporter/README.md"
      ;;
    *unavailable*) info "          can this machine reach $GITHUB_ENDPOINT? It is retried." ;;
  esac
}

# is_final TEXT succeeds when a refusal ends with another token or another organization alone.
is_final() { [[ $1 == *'GitHub refuses GITHUB_TOKEN'* || $1 == *'is GITHUB_ORG='* ]]; }

# watch_progress prints the progress from the metrics page until there is activity and no gap, SECONDS at most. With
# end_when_refused it fails when nothing can be read with this token or of this organization.
watch_progress() {
  local until=$((SECONDS + $1)) text series gaps commits line refused last=''
  while ((SECONDS < until)); do
    check_all
    text=$(page "$metrics_port" /metrics)
    series=$(grep -c '^gh_activity_' <<<"$text" || :)
    gaps=$(sum gh_exporter_gaps <<<"$text")
    commits=$(sum gh_activity_commits_total <<<"$text")
    line="$series activity series, $commits commits, $gaps windows still missing"
    refused=$(refusal)
    if [[ -n $refused ]]; then
      line=$refused
    elif ((series == 0)); then
      line='the first pass is under way'
    fi
    if [[ $line != "$last" ]]; then
      printf '%(%H:%M:%S)T  %s\n' -1 "$line"
      last=$line
    fi
    if [[ -n ${end_when_refused:-} ]] && is_final "$refused"; then
      fail 'Nothing can be read; stopping.'
    fi
    if ((series > 0)) && [[ $gaps == 0 ]]; then
      return
    fi
    sleep 1
  done
}

# show_where prints where to look, with a few lines of the page.
show_where() {
  info ''
  info "metrics          http://127.0.0.1:$metrics_port/metrics"
  info "health           http://127.0.0.1:$health_port/, for machines /healthz, /readyz and /livez"
  info "probes           http://127.0.0.1:$ready_port/status?pipeline=metrics, http://127.0.0.1:$live_port/"
  info "own telemetry    http://127.0.0.1:$GX_TELEMETRY_PORT/metrics"
  info "collector's log  $logs/collector.log"
  info ''
  page "$metrics_port" /metrics | awk -F'{' '/^gh_activity_/ && $NF !~ / 0\r?$/ && seen[$1]++ < 2' |
    head -n 12 | sed 's/^/  /'
  info ''
  info 'It goes on running; Ctrl-C stops it.'
}

# stay waits until Ctrl-C, or until a program ends.
stay() {
  while :; do
    check_all
    sleep 1
  done
}
