{{/*
What a Deployment of your own takes over from this chart as a dependency (deploy/README.md):

  initContainers:
    {{- include "graph-photo-proxy.sidecar" (index .Subcharts "graph-photo-proxy") | nindent 4 }}
  volumes:
    {{- include "graph-photo-proxy.volumes" (index .Subcharts "graph-photo-proxy") | nindent 4 }}
*/}}

{{- define "graph-photo-proxy.fullname" -}}
{{- if contains "graph-photo-proxy" .Release.Name -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-graph-photo-proxy" (.Release.Name | trunc 34 | trimSuffix "-") -}}
{{- end -}}
{{- end -}}

{{- define "graph-photo-proxy.selector" -}}
app.kubernetes.io/name: graph-photo-proxy
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "graph-photo-proxy.labels" -}}
{{ include "graph-photo-proxy.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- define "graph-photo-proxy.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end -}}

{{- define "graph-photo-proxy.tokenSecret" -}}
{{- .Values.adminToken.existingSecret | default (printf "%s-admin" (include "graph-photo-proxy.fullname" .)) -}}
{{- end -}}

{{/* The admin port's, where it is not plain HTTP. The kubelet takes any certificate. */}}
{{- define "graph-photo-proxy.scheme" -}}
{{- if .Values.adminTls.secretName }}, scheme: HTTPS{{ end -}}
{{- end -}}

{{/* The settings file. Text in quotes reads as a number or a switch where one is meant. */}}
{{- define "graph-photo-proxy.config" -}}
listen = "127.0.0.1:8080"
admin = "0.0.0.0:9090"
{{- if .Values.adminTls.secretName }}
admin_tls_cert = "/etc/graph-photo-proxy/admin-tls/tls.crt"
admin_tls_key = "/etc/graph-photo-proxy/admin-tls/tls.key"
{{- end }}
{{- if .Values.tls.secretName }}
tls_listen = "127.0.0.1:8443"
tls_cert = "/etc/graph-photo-proxy/tls/tls.crt"
tls_key = "/etc/graph-photo-proxy/tls/tls.key"
{{- end }}
{{- if .Values.upstreamCa.configMapName }}
upstream_ca = "/etc/graph-photo-proxy/upstream-ca/ca.crt"
{{- end }}
{{- if not (hasKey .Values.settings "log_format") }}
log_format = "json"
{{- end }}
{{- range $key, $value := .Values.settings }}
{{- if kindIs "slice" $value }}
{{ $key }} = {{ toJson $value }}
{{- else if kindIs "float64" $value }}
{{ $key }} = {{ int64 $value }}
{{- else if or (kindIs "bool" $value) (kindIs "int64" $value) (kindIs "int" $value) }}
{{ $key }} = {{ $value }}
{{- else }}
{{ $key }} = {{ toJson $value }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "graph-photo-proxy.sidecar" -}}
- name: graph-photo-proxy
  image: {{ include "graph-photo-proxy.image" . | quote }}
  imagePullPolicy: {{ .Values.image.pullPolicy }}
  restartPolicy: Always
  args: [--config, /etc/graph-photo-proxy/config/config.toml]
  env:
    - name: GRAPH_PHOTO_PROXY_ADMIN_TOKEN
      valueFrom:
        secretKeyRef:
          name: {{ include "graph-photo-proxy.tokenSecret" . }}
          key: {{ .Values.adminToken.key }}
    {{- with .Values.upstreamProxy.secretName }}
    - name: GRAPH_PHOTO_PROXY_UPSTREAM_PROXY
      valueFrom:
        secretKeyRef:
          name: {{ . }}
          key: {{ $.Values.upstreamProxy.key }}
    {{- end }}
  ports:
    - {name: photo-admin, containerPort: 9090}
  # The app starts once this has passed.
  startupProbe:
    httpGet: {path: /readyz, port: photo-admin{{ include "graph-photo-proxy.scheme" . }}}
    periodSeconds: 1
    failureThreshold: 30
  livenessProbe:
    httpGet: {path: /livez, port: photo-admin{{ include "graph-photo-proxy.scheme" . }}}
    periodSeconds: 10
    timeoutSeconds: 3
  readinessProbe:
    httpGet: {path: /readyz, port: photo-admin{{ include "graph-photo-proxy.scheme" . }}}
    periodSeconds: 5
    timeoutSeconds: 3
  resources: {{- toYaml .Values.resources | nindent 4 }}
  securityContext:
    allowPrivilegeEscalation: false
    capabilities: {drop: [ALL]}
    readOnlyRootFilesystem: true
    runAsNonRoot: true
    runAsUser: 65532
    runAsGroup: 65532
    seccompProfile: {type: RuntimeDefault}
  volumeMounts:
    - {name: photo-config, mountPath: /etc/graph-photo-proxy/config, readOnly: true}
    {{- if .Values.adminTls.secretName }}
    - {name: photo-admin-tls, mountPath: /etc/graph-photo-proxy/admin-tls, readOnly: true}
    {{- end }}
    {{- if .Values.tls.secretName }}
    - {name: photo-tls, mountPath: /etc/graph-photo-proxy/tls, readOnly: true}
    {{- end }}
    {{- if .Values.upstreamCa.configMapName }}
    - {name: photo-upstream-ca, mountPath: /etc/graph-photo-proxy/upstream-ca, readOnly: true}
    {{- end }}
{{- end -}}

{{- define "graph-photo-proxy.volumes" -}}
- name: photo-config
  configMap: {name: {{ include "graph-photo-proxy.fullname" . }}}
{{- with .Values.adminTls.secretName }}
- name: photo-admin-tls
  secret: {secretName: {{ . }}, defaultMode: 0444}
{{- end }}
{{- with .Values.tls.secretName }}
- name: photo-tls
  secret: {secretName: {{ . }}, defaultMode: 0444}
{{- end }}
{{- with .Values.upstreamCa.configMapName }}
- name: photo-upstream-ca
  configMap: {name: {{ . }}}
{{- end }}
{{- end -}}
