{{- define "job-router.config" -}}
{{- $config := dict "site" .Values.site "users" (include "job-router.users" . | fromJsonArray) "groups" (.Values.groups | default list) "script_image" .Values.scriptImage "sweep_seconds" .Values.sweepSeconds -}}
{{- $priorities := dict -}}
{{- range $name, $class := .Values.priorities -}}
{{- $_ := set $priorities $name (dict "qos" $class.qos "nice" ($class.nice | default 0) "pod_priority_class" $class.podPriorityClass) -}}
{{- end -}}
{{- $_ := set $config "priorities" $priorities -}}
{{- $_ := set $config "stage_paths" .Values.stagePaths -}}
{{- $_ := set $config "slurm_options" .Values.slurmOptions -}}
{{- $templates := dict "service_accounts" .Values.templates.serviceAccounts "csi_drivers" .Values.templates.csiDrivers "node_features" .Values.templates.nodeFeatures "claim_folders" .Values.templates.claimFolders "devices" .Values.templates.devices "slurm_secrets" .Values.templates.slurmSecrets -}}
{{- $_ := set $config "templates" $templates -}}
{{- $_ := set $config "routing" .Values.routing -}}
{{- $kubernetes := dict "per_user" (.Values.kubernetes.limits.perUser | default dict) "per_account" (.Values.kubernetes.limits.perAccount | default dict) -}}
{{- if .Values.kubernetes.arrayAtOnce -}}
{{- $_ := set $kubernetes "array_at_once" .Values.kubernetes.arrayAtOnce -}}
{{- end -}}
{{- $_ := set $config "kubernetes" $kubernetes -}}
{{- $_ := set $config "lease" (dict "namespace" .Release.Namespace "name" .Release.Name) -}}
{{- if .Values.slurm.enabled -}}
{{- $slurm := dict "address" .Values.slurm.address "key_file" "/etc/slurm-key/jwt.key" "reader" .Values.slurm.reader "interval" .Values.slurm.intervalSeconds -}}
{{- if .Values.slurm.certificateAuthority -}}
{{- $_ := set $slurm "ca_file" "/etc/platformctl/slurm-ca.crt" -}}
{{- end -}}
{{- $_ := set $config "slurm" $slurm -}}
{{- end -}}
{{ $config | toPrettyJson }}
{{- end }}

{{- /* The site's users as JSON, each with the claim of the home. */ -}}
{{- define "job-router.users" -}}
{{- $found := list -}}
{{- range .Values.users -}}
{{- $user := omit . "homeClaim" -}}
{{- if and $.Values.home.path (hasPrefix (printf "%s/" $.Values.home.path) .home) -}}
{{- $user = set $user "home_claim" (printf "kfoundry-home-%d" (int .uid)) -}}
{{- end -}}
{{- $found = append $found $user -}}
{{- end -}}
{{ $found | toJson }}
{{- end }}
