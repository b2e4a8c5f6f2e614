"""What each service account of the platform, and a user, could do at worst: asked of the API server itself.

powers.yml has the answers and what they mean in words. A right that is not there fails here, so that
nobody's power grows unseen.
"""

import json
from pathlib import Path
from typing import Any

import yaml

from tests.e2e.conftest import Site

DECLARED = Path(__file__).with_name("powers.yml")
EVERYWHERE = "everywhere"
# Whoever has one of these for a namespace can become everything that runs there, or knows its secrets.
_STRONG = {
    ("create", "pods"),
    ("patch", "pods"),
    ("update", "pods"),
    ("create", "jobs.batch"),
    ("create", "deployments.apps"),
    ("create", "daemonsets.apps"),
    ("create", "pods/exec"),
    ("create", "pods/attach"),
    ("create", "serviceaccounts/token"),
    ("get", "secrets"),
    ("list", "secrets"),
    ("get", "nodes/proxy"),
    ("impersonate", "users"),
    ("create", "rolebindings.rbac.authorization.k8s.io"),
    ("create", "clusterrolebindings.rbac.authorization.k8s.io"),
}
# An admission policy lets it make nothing but the pods that make and remove its folders.
_ALLOWED = {("local-path-storage", "local-path-provisioner")}
_USERS = {"default"}
# Asks for the rights of each account in each namespace, with the administrator's certificate.
_ASK = """
import base64, http.client, json, re, ssl, sys, tempfile
text = open("/etc/kubernetes/admin.conf").read()
def part(name):
    found = tempfile.NamedTemporaryFile()
    found.write(base64.b64decode(re.search(name + ": (.*)", text).group(1)))
    found.flush()
    return found
authority = part("certificate-authority-data")
certificate, key = part("client-certificate-data"), part("client-key-data")
context = ssl.create_default_context(cafile=authority.name)
context.load_cert_chain(certificate.name, key.name)
host, port = re.search("server: https://(.*):(.*)", text).groups()
connection = http.client.HTTPSConnection(host, int(port), context=context)
asked, answers = json.load(sys.stdin), []
for user, groups, namespace in asked:
    body = json.dumps({"spec": {"namespace": namespace}})
    connection.putrequest("POST", "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews")
    headers = [("Impersonate-User", user), *(("Impersonate-Group", group) for group in groups)]
    for name, value in [*headers, ("Content-Type", "application/json"), ("Content-Length", str(len(body)))]:
        connection.putheader(name, value)
    connection.endheaders(body.encode())
    answers.append(json.loads(connection.getresponse().read())["status"]["resourceRules"])
print(json.dumps(answers))
"""

Rights = set[tuple[str, str]]


def _rights(rules: list[dict[str, Any]]) -> Rights:
    """Pairs of a verb and a resource, with its group and, if there is one, the name of the only object."""
    return {
        (verb, f"{resource}{f'.{group}' if group else ''}{f' {name}' if name else ''}")
        for rule in rules
        for verb in rule["verbs"]
        for group in rule.get("apiGroups", [""])
        for resource in rule.get("resources", ())
        for name in rule.get("resourceNames") or [""]
    }


def _accounts(site: Site) -> list[tuple[str, str]]:
    """The accounts that something is granted to, but the cluster's own controllers; and each `default`."""
    there = {
        (item["metadata"]["namespace"], item["metadata"]["name"])
        for item in json.loads(site.kubectl("get", "serviceaccounts", "-A", "-o", "json"))["items"]
    }
    bindings = json.loads(site.kubectl("get", "clusterrolebindings,rolebindings", "-A", "-o", "json"))[
        "items"
    ]
    bound = {
        (subject["namespace"], subject["name"])
        for binding in bindings
        if not binding["metadata"]["name"].startswith(("system:controller:", "system::leader"))
        for subject in binding.get("subjects", ())
        if subject["kind"] == "ServiceAccount"
    }
    return sorted((bound | {account for account in there if account[1] == "default"}) & there)


def measured(site: Site) -> dict[str, dict[str, Rights]]:
    """By account and namespace (or EVERYWHERE), the rights beyond those of any account."""
    namespaces = site.kubectl("get", "namespaces", "-o", "jsonpath={.items[*].metadata.name}").split()
    who = {"platform:users alice": ("alice", ["platform:users", "system:authenticated"])}
    for namespace, name in [*_accounts(site), ("default", "nobody")]:
        groups = ["system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated"]
        who[f"{namespace}/{name}"] = (f"system:serviceaccount:{namespace}:{name}", groups)
    asked = [(*identity, namespace) for identity in who.values() for namespace in namespaces]
    answers = iter(json.loads(site.host("ctl1", "python3", "-c", _ASK, data=json.dumps(asked))))
    rights = {name: {namespace: _rights(next(answers)) for namespace in namespaces} for name in who}
    anybody = rights.pop("default/nobody")["default"]
    found: dict[str, dict[str, Rights]] = {}
    for name, by_namespace in rights.items():
        own = {namespace: pairs - anybody for namespace, pairs in by_namespace.items()}
        common = set.intersection(*own.values())
        parts = {EVERYWHERE: common, **{namespace: pairs - common for namespace, pairs in own.items()}}
        found[name] = {where: pairs for where, pairs in parts.items() if pairs}
    return {name: parts for name, parts in found.items() if parts}


def _lines(rights: Rights) -> list[str]:
    """For people: one line a resource."""
    verbs: dict[str, list[str]] = {}
    for verb, resource in sorted(rights):
        verbs.setdefault(resource, []).append(verb)
    return [f"{', '.join(found)}: {resource}" for resource, found in sorted(verbs.items())]


def test_no_account_can_do_more_than_is_written_down(site: Site) -> None:
    found = {
        account: {where: _lines(rights) for where, rights in parts.items()}
        for account, parts in measured(site).items()
    }
    declared = yaml.safe_load(DECLARED.read_text())
    assert all(entry.pop("worst") for entry in declared.values()), "say in words what each could do at worst"
    assert found == declared, yaml.safe_dump(found, width=110)


def test_what_is_strong_ends_at_users_namespaces(site: Site) -> None:
    strong = {
        (account, where, *right)
        for account, parts in measured(site).items()
        for where, rights in parts.items()
        for right in rights & _STRONG
        if where not in _USERS and (where, account.partition("/")[2]) not in _ALLOWED
    }
    assert not strong


def test_the_maker_of_volumes_makes_nothing_but_its_own_pods(site: Site) -> None:
    """Its namespace has no Pod Security, since its pods mount the host's file system."""
    overrides = {
        "spec": {
            "containers": [
                {
                    "name": "x",
                    "image": "docker.io/library/busybox:1.37",
                    "securityContext": {"privileged": True},
                }
            ],
            "hostPID": True,
        }
    }
    account = "system:serviceaccount:local-path-storage:local-path-provisioner"
    script = (
        "kubectl --kubeconfig /etc/kubernetes/admin.conf -n local-path-storage "
        f"--as={account} run x --image=busybox --overrides='{json.dumps(overrides)}' 2>&1; true"
    )
    assert "makes folders of volumes and nothing else" in site.host("ctl1", "sh", "-c", script)


def test_images_come_from_the_sites_registry_or_not_at_all(site: Site) -> None:
    pull = "ctr -n k8s.io images pull --hosts-dir /etc/containerd/certs.d"
    assert "not found" in site.host("node1", "sh", "-c", f"{pull} quay.io/alice/tool:1 2>&1; true")
    site.host("node1", "sh", "-c", f"{pull} docker.io/library/busybox:1.37")
