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

{{- define "job-router.config" -}}
{{- $config := dict "site" .Values.site "users" .Values.users "script_image" .Values.scriptImage "sweep_seconds" .Values.sweepSeconds -}}
{{- if .Values.slurm.enabled -}}
{{- $slurm := dict "address" .Values.slurm.address "key_file" "/etc/slurm-key/jwt.key" "reader" .Values.slurm.reader "interval" .Values.slurm.intervalSeconds -}}
{{- if .Values.slurm.certificateAuthority -}}
{{- $_ := set $slurm "ca_file" "/etc/platformctl/slurm-ca.crt" -}}
{{- end -}}
{{- $_ := set $config "slurm" $slurm -}}
{{- end -}}
{{ $config | toPrettyJson }}
{{- end }}
