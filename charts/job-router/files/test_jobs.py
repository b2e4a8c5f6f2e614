"""The chart's test: as a user of the site, a Job through each back end, and its output through the logs API.

Arguments: the user, the namespace, and the back ends. It runs in a pod whose service account may
impersonate that one user.
"""

import json
import ssl
import sys
import time
import urllib.request
from pathlib import Path

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
SERVER = "https://kubernetes.default.svc"
FINAL = ("Succeeded", "Failed", "Cancelled", "Refused")
SECONDS = 240


def request(user, method, path, body=None):
    """The text of an answer of the API server, asked as the user."""
    headers = {
        "Authorization": f"Bearer {(ACCOUNT / 'token').read_text()}",
        "Impersonate-User": user,
        "Impersonate-Group": "platform:users",
        "Content-Type": "application/json",
    }
    data = json.dumps(body).encode() if body else None
    asked = urllib.request.Request(SERVER + path, data, headers, method=method)  # noqa: S310  (https)
    tls = ssl.create_default_context(cafile=ACCOUNT / "ca.crt")
    with urllib.request.urlopen(asked, timeout=30, context=tls) as answer:  # noqa: S310
        return answer.read().decode()


def run(user, namespace, target):
    """One Job to its end; returns its status and its output."""
    jobs = f"/apis/kfoundry.io/v1alpha1/namespaces/{namespace}/jobs"
    job = {
        "apiVersion": "kfoundry.io/v1alpha1",
        "kind": "Job",
        "metadata": {"generateName": f"helm-test-{target}-"},
        "spec": {"target": target, "script": "#!/bin/sh\necho hello from $(id -u)\n", "walltime": "5m"},
    }
    name = json.loads(request(user, "POST", jobs, job))["metadata"]["name"]
    try:
        deadline, status = time.monotonic() + SECONDS, {}
        while status.get("phase") not in FINAL and time.monotonic() < deadline:
            time.sleep(1)
            status = json.loads(request(user, "GET", f"{jobs}/{name}")).get("status", {})
        if status.get("phase") != "Succeeded":
            return status, ""
        log = f"/apis/logs.kfoundry.io/v1alpha1/namespaces/{namespace}/jobs/{name}/log?follow=true"
        return status, request(user, "GET", log)
    finally:
        request(user, "DELETE", f"{jobs}/{name}")


def main(user, namespace, *targets):
    """Every back end, even if the first fails."""
    failed = False
    for target in targets:
        status, output = run(user, namespace, target)
        phase = status.get("phase", "not seen by the router")
        sys.stdout.write(f"{target}: {phase} {status.get('reason', '')} {output.strip()}\n")
        failed = failed or "hello from" not in output
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
