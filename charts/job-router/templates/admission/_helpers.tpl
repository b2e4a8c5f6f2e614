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

{{- /* The names of objects in the template of a Job, by kind, as a list that may hold one several times. */ -}}
{{- define "job-router.secrets-of-template" -}}
object.spec.template.spec.?volumes.orValue([]).map(volume, volume.?secret.?secretName.orValue(""))
+ object.spec.template.spec.?volumes.orValue([]).map(volume, volume.?csi.?nodePublishSecretRef.?name.orValue(""))
+ object.spec.template.spec.?imagePullSecrets.orValue([]).map(secret, secret.?name.orValue(""))
+ object.spec.template.spec.?volumes.orValue([]).map(volume, volume.?projected.?sources.orValue([]).map(source,
    source.?secret.?name.orValue("")).join("/")).join("/").split("/")
+ (object.spec.template.spec.containers + object.spec.template.spec.?initContainers.orValue([])).map(container, container.?env.orValue([]).map(variable,
    variable.?valueFrom.?secretKeyRef.?name.orValue("")).join("/")).join("/").split("/")
+ (object.spec.template.spec.containers + object.spec.template.spec.?initContainers.orValue([])).map(container, container.?envFrom.orValue([]).map(source,
    source.?secretRef.?name.orValue("")).join("/")).join("/").split("/")
{{- end }}

{{- define "job-router.config-maps-of-template" -}}
object.spec.template.spec.?volumes.orValue([]).map(volume, volume.?configMap.?name.orValue(""))
+ object.spec.template.spec.?volumes.orValue([]).map(volume, volume.?projected.?sources.orValue([]).map(source,
    source.?configMap.?name.orValue("")).join("/")).join("/").split("/")
+ (object.spec.template.spec.containers + object.spec.template.spec.?initContainers.orValue([])).map(container, container.?env.orValue([]).map(variable,
    variable.?valueFrom.?configMapKeyRef.?name.orValue("")).join("/")).join("/").split("/")
+ (object.spec.template.spec.containers + object.spec.template.spec.?initContainers.orValue([])).map(container, container.?envFrom.orValue([]).map(source,
    source.?configMapRef.?name.orValue("")).join("/")).join("/").split("/")
{{- end }}

{{- define "job-router.claims-of-template" -}}
object.spec.template.spec.?volumes.orValue([]).map(volume, volume.?persistentVolumeClaim.?claimName.orValue(""))
{{- end }}

{{- define "job-router.accounts-of-template" -}}
[object.spec.template.spec.?serviceAccountName.orValue(""), object.spec.template.spec.?serviceAccount.orValue("")]
  .filter(name, name != "default")
{{- end }}
