# In templates/, so that an upgrade of the chart upgrades it; kept when the chart is removed, with all Jobs.
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  name: jobs.kfoundry.io
  labels: {{- include "job-router.labels" . | nindent 4 }}
  annotations:
    helm.sh/resource-policy: keep
spec:
  group: kfoundry.io
  scope: Namespaced
  names: {kind: Job, listKind: JobList, plural: jobs, singular: job, shortNames: [kj]}
  versions:
    - name: v1alpha1
      served: true
      storage: true
      subresources: {status: {}}
      additionalPrinterColumns:
        - {name: Phase, type: string, jsonPath: .status.phase}
        - {name: Backend, type: string, jsonPath: .status.backend}
        - {name: ID, type: string, jsonPath: .status.backendId}
        - {name: User, type: string, jsonPath: .status.user}
        - {name: Exit, type: integer, jsonPath: .status.exitCode}
        - {name: Reason, type: string, jsonPath: .status.reason}
        - {name: Age, type: date, jsonPath: .metadata.creationTimestamp}
        - {name: Nodes, type: string, jsonPath: .status.nodes, priority: 1}
        - {name: Output, type: string, jsonPath: .status.output, priority: 1}
      schema:
        openAPIV3Schema:
          type: object
          required: [spec]
          description: A piece of work that Slurm or Kubernetes runs once, as the person who created it.
          properties:
            apiVersion: {type: string}
            kind: {type: string}
            metadata: {type: object}
            spec:
              type: object
              description: What to run and what it needs. It cannot be changed after creation.
              x-kubernetes-validations:
                - rule: has(self.template) != has(self.script)
                  message: give exactly one of template and script
                - rule: "!has(self.tasks) || !has(self.nodes) || self.tasks >= self.nodes"
                  message: tasks must be at least nodes
              properties:
                template:
                  type: object
                  description: >-
                    A pod template with one container, as in batch/v1. Fields that a back end cannot honour
                    are refused by their path.
                  required: [spec]
                  x-kubernetes-preserve-unknown-fields: true
                  properties:
                    metadata:
                      type: object
                      x-kubernetes-preserve-unknown-fields: true
                    spec:
                      type: object
                      required: [containers]
                      x-kubernetes-preserve-unknown-fields: true
                      properties:
                        restartPolicy: {type: string, enum: [Never]}
                        containers:
                          type: array
                          minItems: 1
                          maxItems: 64
                          items:
                            type: object
                            required: [name, image]
                            x-kubernetes-preserve-unknown-fields: true
                            properties:
                              name: {type: string, maxLength: 63}
                              image: {type: string, minLength: 1, maxLength: 512}
                              command: {type: array, maxItems: 1024, items: {type: string, maxLength: 131072}}
                              args: {type: array, maxItems: 1024, items: {type: string, maxLength: 131072}}
                script:
                  type: string
                  description: >-
                    A program text that begins with its interpreter (#!/bin/bash). On Slurm it is the batch
                    script; on Kubernetes it runs once in the site's script image.
                  maxLength: 524288
                  x-kubernetes-validations:
                    - rule: self.startsWith('#!')
                      message: "must begin with its interpreter, for example #!/bin/bash"
                target:
                  type: string
                  description: Where to run; auto lets the router choose, and status says why.
                  enum: [auto, slurm, kubernetes]
                  default: auto
                queue:
                  type: string
                  description: Slurm partition; the site's default when absent.
                  pattern: ^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$
                account:
                  type: string
                  description: Slurm account to charge; the user's default when absent.
                  pattern: ^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$
                walltime:
                  x-kubernetes-int-or-string: true
                  maxLength: 32
                  description: >-
                    The longest it may run, counted from its start: whole seconds, HH:MM:SS, D-HH:MM:SS, or
                    units such as 90m or 1h30m. At most 366 days. Slurm counts whole minutes, rounded up.
                  x-kubernetes-validations:
                    - rule: "type(self) == string || (self >= 1 && self <= 31622400)"
                      message: must be from 1 second to 366 days
                    - rule: >-
                        type(self) == int
                        || self.matches('^([0-9]{1,3}-)?[0-9]{1,4}:[0-5][0-9]:[0-5][0-9]$')
                        || (self.size() > 0 && self.matches('^([0-9]{1,3}d)?([0-9]{1,4}h)?([0-9]{1,6}m)?([0-9]{1,8}s)?$'))
                      message: must be whole seconds, "HH:MM:SS", "D-HH:MM:SS" or units such as "1h30m"
                nodes:
                  type: integer
                  format: int32
                  description: Hosts to spread over; more than one on Slurm only.
                  minimum: 1
                  maximum: 10000
                tasks:
                  type: integer
                  format: int32
                  description: Copies that run at the same time; each gets the container's resources.
                  minimum: 1
                  maximum: 100000
            status:
              type: object
              description: Written by the router only.
              properties:
                observedGeneration: {type: integer, format: int64}
                phase: {type: string, enum: [Pending, Queued, Running, Succeeded, Failed, Cancelled, Refused]}
                reason: {type: string, description: Why it waits or how it ended; in plain words.}
                user: {type: string, description: The site user it runs as.}
                backend: {type: string, enum: [slurm, kubernetes]}
                backendId: {type: string, description: Slurm job id; or namespace/name of the batch Job.}
                attempt: {type: integer, format: int32}
                released: {type: boolean, description: Whether it may have started.}
                nodes: {type: string}
                output: {type: string, description: The file with its output; or the command that shows it.}
                exitCode: {type: integer, format: int32, description: 128 + signal if a signal ended it.}
                startTime: {type: string, format: date-time}
                completionTime: {type: string, format: date-time}
                conditions:
                  type: array
                  description: Accepted, Released, Finished; Reachable only while the back end is away.
                  x-kubernetes-list-type: map
                  x-kubernetes-list-map-keys: [type]
                  items:
                    type: object
                    required: [type, status, lastTransitionTime, reason, message]
                    properties:
                      type: {type: string, maxLength: 316}
                      status: {type: string, enum: ["True", "False", Unknown]}
                      observedGeneration: {type: integer, format: int64}
                      lastTransitionTime: {type: string, format: date-time}
                      reason: {type: string, maxLength: 1024}
                      message: {type: string, maxLength: 32768}
