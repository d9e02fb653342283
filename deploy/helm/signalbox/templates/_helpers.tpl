{{- define "signalbox.name" -}}
{{- if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "signalbox.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "signalbox.labels" -}}
{{ include "signalbox.selector" . }}
app.kubernetes.io/version: {{ .Values.image.tag | default .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- define "signalbox.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}

{{/* Several nodes are a cluster, and one that may become several is one, too. */}}
{{- define "signalbox.clustered" -}}
{{- if and .Values.redis.address .Values.certificates.secret -}}yes{{- end -}}
{{- end -}}

{{/* The address of the store, with the file of the password when there is one. */}}
{{- define "signalbox.store" -}}
{{- if not .Values.redis.address -}}
embedded
{{- else if not .Values.redis.passwordSecret.name -}}
{{ .Values.redis.address }}
{{- else if contains "?" .Values.redis.address -}}
{{ .Values.redis.address }}&password_file=/secrets/redis/password
{{- else -}}
{{ .Values.redis.address }}?password_file=/secrets/redis/password
{{- end -}}
{{- end -}}

{{- define "signalbox.securityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}
