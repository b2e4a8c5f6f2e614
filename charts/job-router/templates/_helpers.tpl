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

{{- /* Variables of an admission policy: whether the request is the router's, the cluster's own, or an administrator's. */ -}}
{{- define "job-router.who" -}}
- name: router
  expression: >-
    request.userInfo.username == "system:serviceaccount:{{ .Release.Namespace }}:{{ .Release.Name }}"
# The garbage collector and the namespace controller, which clean up.
- name: system
  expression: >-
    "system:serviceaccounts:kube-system" in request.userInfo.groups
- name: administrator
  expression: >-
    authorizer.group("kfoundry.io").resource("jobs").namespace(request.namespace).name(request.name).check("administer").allowed()
{{- end }}

{{- /* Everything built into Kubernetes that is a pod or makes pods. */ -}}
{{- define "job-router.workloads" -}}
- {apiGroups: [""], apiVersions: ["*"], operations: [CREATE, UPDATE], resources: [pods, pods/ephemeralcontainers, replicationcontrollers]}
- {apiGroups: [apps], apiVersions: ["*"], operations: [CREATE, UPDATE], resources: [deployments, replicasets, statefulsets, daemonsets]}
- {apiGroups: [batch], apiVersions: ["*"], operations: [CREATE, UPDATE], resources: [jobs, cronjobs]}
{{- end }}

{{- define "job-router.pod-spec" -}}
dyn(object).kind == "Pod" ? dyn(object).spec
: dyn(object).kind == "CronJob" ? dyn(object).spec.jobTemplate.spec.template.spec
: dyn(object).spec.template.spec
{{- end }}
