{{- /* Variables for admission policies: whether the request comes from the router, from a controller of the cluster, or
       from an administrator. */ -}}
{{- define "job-router.who" -}}
- name: router
  expression: >-
    request.userInfo.username == "system:serviceaccount:{{ .Release.Namespace }}:{{ .Release.Name }}"
# Service accounts of kube-system: the garbage collector and the namespace controller delete Jobs.
- name: system
  expression: >-
    "system:serviceaccounts:kube-system" in request.userInfo.groups
- name: administrator
  expression: >-
    authorizer.group("kfoundry.io").resource("jobs").namespace(request.namespace).name(request.name).check("administer").allowed()
{{- end }}

{{- /* The rules that match every built-in resource that is a pod or creates pods. */ -}}
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
