{{/*
Copyright The githubexporter Authors
SPDX-License-Identifier: Apache-2.0
*/}}

{{/* The configuration of the collector, as YAML: what the values say, with `config` merged over it. */}}
{{- define "githubexporter.config" -}}
{{- $receiver := merge (dict "orgs" (include "githubexporter.orgs" . | fromYamlArray)) (deepCopy .Values.receiver) }}
{{- $extensions := dict "replica_health" (dict "endpoint" (printf ":%v" .Values.ports.health)) }}
{{- $names := list "replica_health" }}
{{- if eq .Values.mode "ha" }}
{{- $redis := include "githubexporter.redis" . | fromYaml }}
{{- $_ := set $receiver "redis" $redis }}
{{- if .Values.rabbitmq.endpoint }}
{{- $_ := set $receiver "rabbitmq" (include "githubexporter.rabbitmq" . | fromYaml) }}
{{- end }}
{{- $elector := deepCopy .Values.leaderElection.settings }}
{{- if eq .Values.leaderElection.backend "kubernetes" }}
{{- $_ := set $elector "kubernetes" (dict "lease_name" (include "githubexporter.leaseName" .)) }}
{{- else }}
{{- $_ := set $elector "redis" (omit $redis "unavailable") }}
{{- end }}
{{- $_ := set $extensions "leader_elector" $elector }}
{{- $_ := set $receiver "leader_election" "leader_elector" }}
{{- $_ := set $receiver "leadership" .Values.leaderElection.leadership }}
{{- $names = append $names "leader_elector" }}
{{- else }}
{{- $_ := set $extensions "file_storage" (include "githubexporter.fileStorage" . | fromYaml) }}
{{- $_ := set $receiver "storage" "file_storage" }}
{{- $names = append $names "file_storage" }}
{{- end }}
{{- $config := include "githubexporter.pipeline" . | fromYaml }}
{{- $_ := set $config "extensions" $extensions }}
{{- $_ := set $config "receivers" (dict "githubexporter" $receiver) }}
{{- $_ := set $config.service "extensions" $names }}
{{- mergeOverwrite $config (deepCopy .Values.config) | toYaml }}
{{- end }}

{{/* The organizations, with the paths of their credentials. */}}
{{- define "githubexporter.orgs" -}}
{{- $orgs := list }}
{{- range .Values.orgs }}
{{- $org := omit (deepCopy .) "secret" }}
{{- with get . "secret" }}
{{- $dir := include "githubexporter.secretDir" .name }}
{{- $auth := dict }}
{{- with get . "privateKeyKey" }}
{{- $app := merge (dict "private_key_file" (printf "%s/%s" $dir .)) (dig "auth" "app" dict $org) }}
{{- $auth = dict "app" $app }}
{{- else }}
{{- $auth = dict "token" (printf "${file:%s/%s}" $dir .tokenKey) }}
{{- end }}
{{- $_ := set $org "auth" $auth }}
{{- end }}
{{- $orgs = append $orgs $org }}
{{- end }}
{{- toYaml $orgs }}
{{- end }}

{{- define "githubexporter.redis" -}}
{{- $redis := omit (deepCopy .Values.redis) "secret" }}
{{- with get .Values.redis "secret" }}
{{- $dir := include "githubexporter.secretDir" .name }}
{{- $keys := dict "usernameKey" "username" "passwordKey" "password" }}
{{- $keys = merge $keys (dict "sentinelUsernameKey" "sentinel_username" "sentinelPasswordKey" "sentinel_password") }}
{{- $secret := . }}
{{- range $key, $field := $keys }}
{{- with get $secret $key }}
{{- $_ := set $redis $field (printf "${file:%s/%s}" $dir .) }}
{{- end }}
{{- end }}
{{- with include "githubexporter.tlsFiles" . | fromYaml }}
{{- $_ := set $redis "tls" (merge . (default dict (get $redis "tls"))) }}
{{- end }}
{{- end }}
{{- toYaml $redis }}
{{- end }}

{{- define "githubexporter.rabbitmq" -}}
{{- $rabbitmq := omit (deepCopy .Values.rabbitmq) "secret" }}
{{- with get .Values.rabbitmq "secret" }}
{{- $dir := include "githubexporter.secretDir" .name }}
{{- if get . "passwordKey" }}
{{- $username := printf "${file:%s/%s}" $dir .usernameKey }}
{{- $plain := dict "username" $username "password" (printf "${file:%s/%s}" $dir .passwordKey) }}
{{- $_ := set $rabbitmq "auth" (dict "plain" $plain) }}
{{- end }}
{{- with include "githubexporter.tlsFiles" . | fromYaml }}
{{- $_ := set $rabbitmq "tls" (merge . (default dict (get $rabbitmq "tls"))) }}
{{- end }}
{{- end }}
{{- toYaml $rabbitmq }}
{{- end }}

{{/* The settings of TLS that a Secret has files for. */}}
{{- define "githubexporter.tlsFiles" -}}
{{- $dir := include "githubexporter.secretDir" .name }}
{{- with get . "caKey" }}
ca_file: {{ $dir }}/{{ . }}
{{- end }}
{{- with get . "certKey" }}
cert_file: {{ $dir }}/{{ . }}
{{- end }}
{{- with get . "keyKey" }}
key_file: {{ $dir }}/{{ . }}
{{- end }}
{{- end }}

{{/* A node can crash, and the image has no shell to move a damaged file away. */}}
{{- define "githubexporter.fileStorage" -}}
directory: /var/lib/githubexporter/file_storage
create_directory: true
fsync: true
recreate: true
{{- end }}

{{- define "githubexporter.pipeline" -}}
exporters:
  prometheus:
    endpoint: ":{{ .Values.ports.metrics }}"
    without_scope_info: true
    metric_expiration: 10m
service:
  pipelines:
    metrics:
      receivers: [githubexporter]
      exporters: [prometheus]
  telemetry:
    resource:
      service.instance.id: ${env:POD_NAME}
    logs:
      level: {{ .Values.logLevel }}
      encoding: json
    metrics:
      level: none
{{- end }}
