"""The manifest of K-Foundry that must be accepted as it stands, for every suite that proves it."""

EXAMPLE = """
apiVersion: kfoundry.io/v1alpha1
kind: Job
metadata: {generateName: k-foundry-example, namespace: default}
spec:
  template:
    spec:
      containers:
      - name: pi
        image: perl:5.34.0
        command: [perl, "-Mbignum=bpi", "-wle", "print bpi(2000)"]
        resources:
          limits:   {cpu: "4", memory: 16Gi, nvidia.com/gpu: "1"}
          requests: {cpu: "4", memory: 16Gi, nvidia.com/gpu: "1"}
      restartPolicy: Never
"""
