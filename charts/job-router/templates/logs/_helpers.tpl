{{- define "job-router.logs-name" -}}
{{ .Release.Name }}-logs
{{- end }}

{{- define "job-router.logs-selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}-logs
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "job-router.logs-config" -}}
{{- $users := list -}}
{{- range .Values.users -}}
{{- $users = append $users (pick . "name" "uid" "gid" "groups" "home") -}}
{{- end -}}
{{- $config := dict "users" $users "certificate" "/etc/logs-tls/tls.crt" "key" "/etc/logs-tls/tls.key" -}}
{{- if .Values.home.path -}}
{{- $_ := set $config "home" .Values.home.path -}}
{{- end -}}
{{ $config | toPrettyJson }}
{{- end }}
