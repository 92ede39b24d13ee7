{{/*
Copyright The githubexporter Authors
SPDX-License-Identifier: Apache-2.0
*/}}

{{/* The peers behind a host, as a YAML list. A NetworkPolicy knows addresses and labels, no names. */}}
{{- define "githubexporter.peers" -}}
{{- if regexMatch "^[0-9]+(\\.[0-9]+){3}$" . }}
- ipBlock: {cidr: {{ . }}/32}
{{- else if contains ":" . }}
- ipBlock: {cidr: "{{ . }}/128"}
{{- else if not (contains "." .) }}
- podSelector: {}
{{- else if regexMatch "^([^.]+\\.){2,}svc(\\..+)?$" . }}
- namespaceSelector:
    matchLabels: {kubernetes.io/metadata.name: {{ regexReplaceAll "^.*?([^.]+)\\.svc(\\..+)?$" . "${1}" }}}
{{- else }}
- ipBlock: {cidr: 0.0.0.0/0}
- ipBlock: {cidr: "::/0"}
{{- end }}
{{- end }}

{{/* Public addresses: GitHub's, and never those of a cluster or of the metadata of a cloud. */}}
{{- define "githubexporter.publicPeers" -}}
- ipBlock: {cidr: 0.0.0.0/0, except: [10.0.0.0/8, 100.64.0.0/10, 169.254.0.0/16, 172.16.0.0/12, 192.168.0.0/16]}
- ipBlock: {cidr: "::/0", except: ["fc00::/7", "fe80::/10"]}
{{- end }}

{{/* One rule of egress: {peers, ports, settings}, where settings (to, ports) win. */}}
{{- define "githubexporter.egressRule" -}}
- to:
    {{- default .peers (get .settings "to") | toYaml | nindent 4 }}
  ports:
    {{- range default .ports (get .settings "ports") }}
    - {protocol: TCP, port: {{ . }}}
    {{- end }}
{{- end }}

{{/* The rules of egress to a list of endpoints HOST:PORT: {endpoints, settings}. */}}
{{- define "githubexporter.endpointRules" -}}
{{- $ports := list }}
{{- $peers := list }}
{{- range .endpoints }}
{{- $host := regexReplaceAll ":[0-9]+$" . "" | trimPrefix "[" | trimSuffix "]" }}
{{- $ports = append $ports (regexFind "[0-9]+$" . | int) }}
{{- $peers = concat $peers (include "githubexporter.peers" $host | fromYamlArray) }}
{{- end }}
{{- include "githubexporter.egressRule" (dict "peers" (uniq $peers) "ports" (uniq $ports) "settings" .settings) }}
{{- end }}

{{/* HOST:PORT of a URL; the scheme says which port where the URL has none. */}}
{{- define "githubexporter.hostPort" -}}
{{- $url := urlParse . }}
{{- $ports := dict "https" 443 "http" 80 "amqp" 5672 "amqps" 5671 }}
{{- if regexMatch ":[0-9]+$" $url.host }}{{ $url.host }}{{ else }}{{ $url.host }}:{{ get $ports $url.scheme }}{{ end }}
{{- end }}

{{/* The URL of the proxy for GitHub: of the receiver, or of the environment. */}}
{{- define "githubexporter.proxy" -}}
{{- $proxy := dig "github" "proxy_url" "" .Values.receiver }}
{{- range .Values.extraEnv }}
{{- if and (not $proxy) (eq (upper .name) "HTTPS_PROXY") }}{{ $proxy = default "" (get . "value") }}{{ end }}
{{- end }}
{{- $proxy }}
{{- end }}

{{/* GitHub, and the files of Copilot reports: through the proxy where there is one. */}}
{{- define "githubexporter.githubRules" -}}
{{- $settings := .Values.networkPolicy.github }}
{{- $endpoint := dig "github" "endpoint" "https://api.github.com" .Values.receiver }}
{{- $isPublic := regexMatch "^https://(api\\.github\\.com|api\\.[^/]+\\.ghe\\.com)(/|$)" $endpoint }}
{{- $public := dict "peers" (include "githubexporter.publicPeers" . | fromYamlArray) "ports" (list 443) }}
{{- if include "githubexporter.proxy" . }}
{{- $address := include "githubexporter.proxy" . | include "githubexporter.hostPort" }}
{{- include "githubexporter.endpointRules" (dict "endpoints" (list $address) "settings" $settings) }}
{{- else if $isPublic }}
{{- include "githubexporter.egressRule" (merge (dict "settings" $settings) $public) }}
{{- else }}
{{- $address := include "githubexporter.hostPort" $endpoint }}
{{- include "githubexporter.endpointRules" (dict "endpoints" (list $address) "settings" $settings) }}
{{- if dig "copilot" "enabled" false .Values.receiver }}
{{ include "githubexporter.egressRule" (merge (dict "settings" dict) $public) }}
{{- end }}
{{- end }}
{{- end }}
