{{- define "job-router.labels" -}}
{{ include "job-router.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/part-of: platformctl
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- define "job-router.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- /* The spec of a volume that is a folder of the shared home, for one claim. Kubernetes requires a size but does
       not enforce it on a folder of the host. Retain: removing the volume does not delete files. */ -}}
{{- define "job-router.home-volume" -}}
capacity: {storage: 1Gi}
accessModes: [{{ .mode }}]
persistentVolumeReclaimPolicy: Retain
storageClassName: ""
claimRef: {apiVersion: v1, kind: PersistentVolumeClaim, namespace: {{ .namespace | quote }}, name: {{ .claim }}}
hostPath: {path: {{ .path | quote }}, type: Directory}
{{- with .root.Values.home.nodeSelector }}
nodeAffinity:
  required:
    nodeSelectorTerms:
      - matchExpressions:
          {{- range $key, $value := . }}
          - {key: {{ $key | quote }}, operator: In, values: [{{ $value | quote }}]}
          {{- end }}
{{- end }}
{{- end }}

{{- /* Who has the rights of users: each by name, not the group in their certificates, so that a user who leaves or is
       disabled has none at once, whatever certificate they keep. */ -}}
{{- define "job-router.subjects" -}}
{{- $subjects := list }}
{{- range .Values.users }}
{{- if not (has .name ($.Values.disabledUsers | default list)) }}
{{- $subjects = append $subjects (dict "apiGroup" "rbac.authorization.k8s.io" "kind" "User" "name" .name) }}
{{- end }}
{{- end }}
{{- toYaml $subjects }}
{{- end }}
