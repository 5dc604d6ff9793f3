{{- define "clearway.name" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name }}{{ else }}{{ .Release.Name }}-{{ .Chart.Name }}{{ end }}
{{- end }}

{{/* Of which pods; `component` is serve, functions or load. */}}
{{- define "clearway.selector" -}}
app.kubernetes.io/name: {{ .root.Chart.Name }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{- define "clearway.labels" -}}
{{ include "clearway.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
{{- end }}

{{- define "clearway.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{/* What every pod is: nobody in particular, who writes to two folders of its own. */}}
{{- define "clearway.pod" -}}
automountServiceAccountToken: false
# What Kubernetes would put into the environment is no setting.
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  seccompProfile: {type: RuntimeDefault}
{{- with .Values.image.pullSecrets }}
imagePullSecrets: {{ toJson . }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector: {{ toJson . }}
{{- end }}
{{- with .Values.tolerations }}
tolerations: {{ toJson . }}
{{- end }}
{{- with .Values.affinity }}
affinity: {{ toJson . }}
{{- end }}
{{- end }}

{{- define "clearway.container" -}}
image: {{ include "clearway.image" . | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
{{- end }}

{{/* The key of the roster, and where it is. */}}
{{- define "clearway.environment" -}}
- {name: CLEARWAY_ID_KEY_FILE, value: /run/secrets/clearway/id-key}
- {name: CLEARWAY_DATA_DIR, value: /var/lib/clearway}
- name: CLEARWAY_REDIS_URL
  value: {{ .url | quote }}
{{- end }}

{{- define "clearway.mounts" -}}
- {name: secrets, mountPath: /run/secrets/clearway, readOnly: true}
- {name: data, mountPath: /var/lib/clearway}
- {name: tmp, mountPath: /tmp}
{{- end }}

{{/* `files` are keys of the secret, `space` is how much the data folder may take. */}}
{{- define "clearway.volumes" -}}
- name: secrets
  secret:
    secretName: {{ .root.Values.existingSecret }}
    defaultMode: 0440
    items:
      {{- range prepend .files "id-key" }}
      - {key: {{ . }}, path: {{ . }}}
      {{- end }}
- name: data
  emptyDir: {sizeLimit: {{ .space }}}
- name: tmp
  emptyDir: {sizeLimit: {{ .space }}}
{{- end }}
