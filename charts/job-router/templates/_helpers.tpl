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
{{- $config := dict "site" .Values.site "users" (include "job-router.users" . | fromJsonArray) "groups" .Values.groups "script_image" .Values.scriptImage "sweep_seconds" .Values.sweepSeconds -}}
{{- $priorities := dict -}}
{{- range $name, $class := .Values.priorities -}}
{{- $_ := set $priorities $name (dict "qos" $class.qos "nice" ($class.nice | default 0) "pod_priority_class" $class.podPriorityClass) -}}
{{- end -}}
{{- $_ := set $config "priorities" $priorities -}}
{{- $_ := set $config "stage_paths" .Values.stagePaths -}}
{{- $_ := set $config "routing" .Values.routing -}}
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

{{- /* The site's users with the claim of each one's home, as JSON. */ -}}
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

{{- /* A folder of the shared home as a volume for one claim. It is no disk: its size says nothing, and it stays. */ -}}
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

{{- define "job-router.test-right" -}}
helm.sh/hook: test
helm.sh/hook-weight: "-1"
helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded,hook-failed
{{- end }}
