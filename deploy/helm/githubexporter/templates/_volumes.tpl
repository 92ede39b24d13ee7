{{/*
Copyright The githubexporter Authors
SPDX-License-Identifier: Apache-2.0
*/}}

{{- define "githubexporter.volumeMounts" -}}
- {name: config, mountPath: /etc/githubexporter/config, readOnly: true}
{{- range include "githubexporter.secretNames" . | fromYamlArray }}
- {name: "secret-{{ . | replace "." "-" }}", mountPath: {{ include "githubexporter.secretDir" . }}, readOnly: true}
{{- end }}
{{- if eq .Values.mode "single" }}
- {name: state, mountPath: /var/lib/githubexporter}
{{- end }}
{{- with .Values.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "githubexporter.volumes" -}}
- name: config
  configMap: {name: {{ include "githubexporter.fullname" . }}-config}
{{- range include "githubexporter.secretNames" . | fromYamlArray }}
- name: secret-{{ . | replace "." "-" }}
  secret: {secretName: {{ . }}, defaultMode: 0440}
{{- end }}
{{- if eq .Values.mode "single" }}
- name: state
  {{- if .Values.persistence.enabled }}
  persistentVolumeClaim:
    claimName: {{ default (include "githubexporter.fullname" .) .Values.persistence.existingClaim }}
  {{- else }}
  emptyDir: {}
  {{- end }}
{{- end }}
{{- with .Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* A rolling update counts the new replicas alone. Nodes without the label of a zone stay usable. */}}
{{- define "githubexporter.topologySpread" -}}
{{- if .Values.topologySpreadConstraints }}
{{- toYaml .Values.topologySpreadConstraints }}
{{- else }}
{{- $keys := dict "kubernetes.io/hostname" .Values.whenUnsatisfiable "topology.kubernetes.io/zone" "ScheduleAnyway" }}
{{- range $key, $unsatisfiable := $keys }}
- maxSkew: 1
  topologyKey: {{ $key }}
  whenUnsatisfiable: {{ $unsatisfiable }}
  matchLabelKeys: [pod-template-hash]
  labelSelector:
    matchLabels:
      {{- include "githubexporter.selectorLabels" $ | nindent 6 }}
{{- end }}
{{- end }}
{{- end }}
