{{/*
Copyright The githubexporter Authors
SPDX-License-Identifier: Apache-2.0
*/}}

{{- define "githubexporter.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "githubexporter.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" }}
{{- else }}
{{- $name := include "githubexporter.name" . }}
{{- if contains $name .Release.Name }}
{{- .Release.Name | trunc 63 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name $name | trunc 63 | trimSuffix "-" }}
{{- end }}
{{- end }}
{{- end }}

{{- define "githubexporter.selectorLabels" -}}
app.kubernetes.io/name: {{ include "githubexporter.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "githubexporter.labels" -}}
{{ include "githubexporter.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 }}
{{- end }}

{{- define "githubexporter.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "githubexporter.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- default "default" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{- define "githubexporter.image" -}}
{{- if .Values.image.digest }}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest }}
{{- else }}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) }}
{{- end }}
{{- end }}

{{/* "true" when the leader is elected by a Lease. */}}
{{- define "githubexporter.usesLease" -}}
{{- if and (eq .Values.mode "ha") (eq .Values.leaderElection.backend "kubernetes") }}true{{ end }}
{{- end }}

{{- define "githubexporter.leaseName" -}}
{{- default (include "githubexporter.fullname" .) .Values.leaderElection.leaseName }}
{{- end }}

{{/* The folder in which a Secret is mounted. */}}
{{- define "githubexporter.secretDir" -}}
/etc/githubexporter/secrets/{{ . }}
{{- end }}

{{/* The names of all Secrets that are mounted, as a YAML list. */}}
{{- define "githubexporter.secretNames" -}}
{{- $names := concat (list) .Values.secretMounts }}
{{- range .Values.orgs }}{{ with get . "secret" }}{{ $names = append $names .name }}{{ end }}{{ end }}
{{- if eq .Values.mode "ha" }}
{{- range list .Values.redis .Values.rabbitmq }}
{{- with get . "secret" }}{{ $names = append $names .name }}{{ end }}
{{- end }}
{{- end }}
{{- $names | uniq | sortAlpha | toYaml }}
{{- end }}

{{/* 90 percent of 1Gi as GOMEMLIMIT understands it, 921MiB; empty where there is no limit in Mi or Gi. */}}
{{- define "githubexporter.goMemLimit" -}}
{{- $limit := toString (dig "limits" "memory" "" .Values.resources) }}
{{- $percent := int .Values.goMemLimitPercent }}
{{- if and (hasSuffix "Gi" $limit) $percent }}
{{- printf "%dMiB" (div (int64 (mulf (float64 (trimSuffix "Gi" $limit)) 1024 $percent)) 100) }}
{{- else if and (hasSuffix "Mi" $limit) $percent }}
{{- printf "%dMiB" (div (mul (int64 (trimSuffix "Mi" $limit)) $percent) 100) }}
{{- end }}
{{- end }}
