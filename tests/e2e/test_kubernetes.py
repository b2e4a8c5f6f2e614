"""What the cluster promises its users and its administrators, seen on the installed site."""

import json
from collections.abc import Iterator

import pytest
import yaml

from tests.e2e.conftest import Site

BUSYBOX = "docker.io/library/busybox:1.37"
ETCDCTL = [
    "etcdctl",
    "--endpoints=https://127.0.0.1:2379",
    "--cacert=/etc/kubernetes/pki/etcd/ca.crt",
    "--cert=/etc/kubernetes/pki/etcd/server.crt",
    "--key=/etc/kubernetes/pki/etcd/server.key",
]
NODES = ("ctl1", "node1")


def pod(name: str, node: str | None, script: str, claim: str | None = None) -> dict[str, object]:
    """A pod that runs a shell script, on a node if one is named."""
    mounts = [{"name": "data", "mountPath": "/data"}] if claim else []
    volumes = [{"name": "data", "persistentVolumeClaim": {"claimName": claim}}] if claim else []
    spec: dict[str, object] = {
        "terminationGracePeriodSeconds": 0,
        "tolerations": [{"operator": "Exists"}],
        "containers": [
            {"name": "main", "image": BUSYBOX, "command": ["sh", "-ec", script], "volumeMounts": mounts}
        ],
        "volumes": volumes,
    }
    if node:
        spec["nodeSelector"] = {"kubernetes.io/hostname": node}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"name": name}},
        "spec": spec,
    }


@pytest.fixture(scope="module")
def namespace(site: Site) -> Iterator[str]:
    """A namespace with a web server on each node, a service for each, and a pod that keeps a file."""
    name = "test-kubernetes"
    site.kubectl("create", "namespace", name)
    objects = []
    for node in NODES:
        serve = f"mkdir /tmp/www; echo from {node} > /tmp/www/index.html; exec httpd -f -p 8080 -h /tmp/www"
        objects.append(pod(f"web-{node}", node, serve))
        ports = [{"port": 80, "targetPort": 8080}]
        spec = {"selector": {"name": f"web-{node}"}, "ports": ports}
        objects.append(
            {"apiVersion": "v1", "kind": "Service", "metadata": {"name": f"web-{node}"}, "spec": spec}
        )
    claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}}}
    objects.append(
        {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "data"}, "spec": claim}
    )
    objects.append(
        pod("keeper", None, "echo kept > /data/file; cat /data/file; exec sleep 3600", claim="data")
    )
    manifest = yaml.safe_dump_all(objects)
    site.host("ctl1", "sh", "-c", f"cat > /root/test.yaml <<'END'\n{manifest}\nEND")
    site.kubectl("--namespace", name, "apply", "--filename", "/root/test.yaml")
    site.kubectl("--namespace", name, "wait", "--for=condition=Ready", "pod", "--all", "--timeout=100s")
    yield name
    site.kubectl("delete", "namespace", name, "--wait=false")


def test_every_node_is_ready_and_runs_what_the_store_says(site: Site) -> None:
    nodes = json.loads(site.kubectl("get", "nodes", "--output=json"))["items"]
    assert {node["metadata"]["name"] for node in nodes} == set(NODES)
    for node in nodes:
        conditions = {item["type"]: item["status"] for item in node["status"]["conditions"]}
        assert conditions["Ready"] == "True"
        assert node["status"]["nodeInfo"]["kubeletVersion"] == "v1.37.2"
    labels = {
        node["metadata"]["name"]: node["metadata"]["labels"].get("platformctl.io/owner") for node in nodes
    }
    assert labels == {"ctl1": None, "node1": "kubernetes"}


@pytest.mark.parametrize(("origin", "target"), [("ctl1", "node1"), ("node1", "ctl1")])
def test_pods_reach_pods_and_services_on_the_other_node(
    site: Site, namespace: str, origin: str, target: str
) -> None:
    address = site.kubectl("-n", namespace, "get", "pod", f"web-{target}", "-o", "jsonpath={.status.podIP}")
    urls = [
        f"http://{address}:8080",
        f"http://web-{target}",
        f"http://web-{target}.{namespace}.svc.cluster.local",
    ]
    for url in urls * 3:
        fetched = site.kubectl("-n", namespace, "exec", f"web-{origin}", "--", "wget", "-qO-", "-T5", url)
        assert fetched == f"from {target}\n"


def test_a_claim_gets_a_volume_of_the_default_class(site: Site, namespace: str) -> None:
    claim = json.loads(site.kubectl("-n", namespace, "get", "pvc", "data", "-o", "json"))
    assert (claim["status"]["phase"], claim["spec"]["storageClassName"]) == ("Bound", "local-path")
    assert site.kubectl("-n", namespace, "logs", "keeper") == "kept\n"


def test_metrics_of_nodes_are_served(site: Site) -> None:
    served = json.loads(site.kubectl("get", "--raw", "/apis/metrics.k8s.io/v1beta1/nodes"))
    assert {item["metadata"]["name"] for item in served["items"]} == set(NODES)


def test_kubelets_and_metrics_are_verified_and_nothing_is_skipped(site: Site) -> None:
    service = json.loads(site.kubectl("get", "apiservice", "v1beta1.metrics.k8s.io", "-o", "json"))
    assert "insecureSkipTLSVerify" not in service["spec"]
    for host in NODES:
        issuer = site.shell(
            host, "openssl x509 -noout -issuer -in /var/lib/kubelet/pki/kubelet-server-current.pem"
        )
        assert issuer.strip() == "issuer=CN=kubernetes"


def test_anonymous_requests_see_health_only(site: Site) -> None:
    script = """
import ssl, sys, urllib.error, urllib.request
trust = ssl.create_default_context(cafile="/etc/kubernetes/pki/ca.crt")
for path in sys.argv[1:]:
    try:
        print(path, urllib.request.urlopen(f"https://api.lab.example:6443/{path}", context=trust).status)
    except urllib.error.HTTPError as error:
        print(path, error.code)
"""
    discovery = "api/v1/namespaces/kube-public/configmaps/cluster-info"
    found = site.host("ctl1", "python3", "-c", script, "livez", "readyz", "version", "api", discovery)
    assert found.split() == [
        "livez",
        "200",
        "readyz",
        "200",
        "version",
        "401",
        "api",
        "401",
        discovery,
        "401",
    ]


def test_a_secret_is_encrypted_at_rest_and_not_in_the_audit_log(site: Site, namespace: str) -> None:
    canary = "canary-of-the-audit-log"
    site.kubectl("-n", namespace, "create", "secret", "generic", "canary", f"--from-literal=a={canary}")
    etcd = ("-n", "kube-system", "exec", "etcd-ctl1", "--", *ETCDCTL)
    key = f"/registry/secrets/{namespace}/canary"
    # Base64, because what is encrypted is no text.
    stored = json.loads(site.kubectl(*etcd, "get", key, "--write-out=json"))["kvs"][0]["value"]
    assert stored.startswith("azhzOmVuYzpzZWNyZXRib3g6")  # k8s:enc:secretbox:
    log = site.shell("ctl1", "cat /var/log/kubernetes/audit/audit.log")
    created = [line for line in log.splitlines() if '"name":"canary"' in line and '"verb":"create"' in line]
    assert created
    assert canary not in log


def test_a_privileged_pod_is_refused(site: Site, namespace: str) -> None:
    command = ["kubectl", "--kubeconfig", "/etc/kubernetes/admin.conf", "-n", namespace, "run", "bad"]
    script = " ".join([*command, f"--image={BUSYBOX}", "--privileged", "2>&1", "||", "true"])
    assert 'violates PodSecurity "baseline:latest"' in site.shell("ctl1", script)


def test_contents_of_files_stay_out_of_the_host_s_log(site: Site) -> None:
    log = site.shell("ctl1", "journalctl --no-pager")
    assert "sshd" in log
    assert "Invoked with" not in log


def test_images_come_from_the_site_registry_only(site: Site) -> None:
    for upstream in ("docker.io", "ghcr.io", "registry.k8s.io"):
        hosts = site.shell("node1", f"cat /etc/containerd/certs.d/{upstream}/hosts.toml")
        assert f'server = "https://registry.lab.example:5000/v2/{upstream}"' in hosts


def test_a_stranger_s_serving_certificate_is_not_approved(site: Site) -> None:
    """A node asks for the name of the API server; the helper that runs from a timer does not approve it."""
    script = """
set -eu
cd "$(mktemp -d)"
openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout key -out csr \
  -subj "/O=system:nodes/CN=system:node:node1" -addext subjectAltName=DNS:api.lab.example 2>/dev/null
kubectl --kubeconfig /etc/kubernetes/kubelet.conf create -f - >/dev/null <<END
apiVersion: certificates.k8s.io/v1
kind: CertificateSigningRequest
metadata: {name: stranger}
spec:
  signerName: kubernetes.io/kubelet-serving
  request: $(base64 -w0 csr)
  usages: [digital signature, server auth]
END
"""
    site.host("node1", "sh", "-c", script)
    try:
        # It is `oneshot`: the command returns when the helper has ended.
        site.host("ctl1", "systemctl", "start", "platformctl-kubelet-certificates.service")
        conditions = site.kubectl("get", "csr", "stranger", "-o", "jsonpath={.status.conditions}")
        assert conditions == ""
    finally:
        site.kubectl("delete", "csr", "stranger")
