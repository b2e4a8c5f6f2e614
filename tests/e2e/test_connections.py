"""Who can open a TCP connection to what: measured from everywhere, and compared with connections.yml.

Targets are whatever listens: each port of each host, each service, each port of each pod. So what begins to
listen without being declared fails here too.
"""

import json
import shlex
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e.conftest import Site
from tests.e2e.test_jobs import Jobs

DECLARED = Path(__file__).with_name("connections.yml")
HOSTS = ("ctl1", "node1", "node2")
OUTSIDE = "a namespace without users"
# Each try in a process of its own, all at once; a port that drops packets costs five seconds.
_TRY = """
for target in {targets}; do
  {{ timeout 5 bash -c "</dev/tcp/${{target%:*}}/${{target##*:}}" 2>/dev/null && echo "reached $target"; }} &
done
wait
echo tried
"""
_FIRST_EPHEMERAL = 32768


@pytest.fixture
def jobs(site: Site) -> Iterator[Jobs]:
    made = Jobs(site)
    yield made
    made.delete(*made.names)


@pytest.fixture
def outside(site: Site) -> Iterator[str]:
    """A pod in a namespace of the site's own things, for which no policy exists; its name."""
    name = "test-connections"
    site.kubectl("create", "namespace", name)
    image = "docker.io/library/debian:13"
    site.kubectl("-n", name, "run", name, f"--image={image}", "--", "sleep", "600")
    site.kubectl("-n", name, "wait", "--for=condition=Ready", f"pod/{name}", "--timeout=60s")
    yield name
    site.kubectl("delete", "namespace", name, "--wait=false")


def listening(site: Site) -> dict[str, str]:
    """What listens on hosts, by its name here: ADDRESS:PORT. What only the host reaches is `local`."""
    found = {}
    inventory = yaml.safe_load((site.inventory / "hosts.yml").read_text())
    for name in HOSTS:
        own = str(inventory["all"]["hosts"][name]["ansible_host"])
        for line in site.host(name, "ss", "-H", "-l", "-t", "-n").splitlines():
            address, _, port = line.split()[3].rpartition(":")
            address = address.split("%")[0].strip("[]")
            if address.startswith("127.") or address == "::1":
                if int(port) < _FIRST_EPHEMERAL:
                    found.setdefault(f"{name} {port} local", f"127.0.0.1:{port}")
            elif not address.startswith("10.244."):
                found[f"{name} {port}"] = f"{own}:{port}"
    return found


def _of_the_site(site: Site, kind: str) -> list[dict[str, Any]]:
    items = json.loads(site.kubectl("get", kind, "-A", "-o", "json"))["items"]
    return [item for item in items if not item["metadata"]["namespace"].startswith("test-")]


def in_cluster(site: Site) -> dict[str, str]:
    """Services and the ports of pods that have an address of their own; not what other tests have left."""
    found = {}
    for item in _of_the_site(site, "services"):
        name = f"service {item['metadata']['namespace']}/{item['metadata']['name']}"
        for port in item["spec"]["ports"]:
            if port.get("protocol", "TCP") == "TCP" and item["spec"]["clusterIP"] != "None":
                found[f"{name} {port['port']}"] = f"{item['spec']['clusterIP']}:{port['port']}"
    for item in _of_the_site(site, "pods"):
        if item["spec"].get("hostNetwork") or item["status"].get("phase") != "Running":
            continue
        labels = item["metadata"].get("labels", {})
        kind = labels.get("app.kubernetes.io/name") or labels.get("k8s-app")
        for container in item["spec"]["containers"] if kind else ():
            for port in container.get("ports", ()):
                if port.get("protocol", "TCP") == "TCP":
                    name = f"pod {item['metadata']['namespace']}/{kind} {port['containerPort']}"
                    found[name] = f"{item['status']['podIP']}:{port['containerPort']}"
    return found


def measured(site: Site, jobs: Jobs, outside: str) -> dict[str, list[str]]:
    """By target, the sources that reach it."""
    hosts, cluster = listening(site), in_cluster(site)
    shared = {name: address for name, address in {**hosts, **cluster}.items() if not name.endswith(" local")}

    def script(source: str) -> tuple[str, dict[str, str]]:
        own = {
            name: at
            for name, at in hosts.items()
            if name.startswith(f"{source} ") and name.endswith(" local")
        }
        targets = {**shared, **own}
        return _TRY.format(targets=shlex.join(sorted(set(targets.values())))), targets

    def reached(source: str, text: str, targets: dict[str, str]) -> set[tuple[str, str]]:
        assert text.rstrip().endswith("tried"), f"{source}: {text}"
        seen = {line.removeprefix("reached ") for line in text.splitlines() if line.startswith("reached ")}
        return {(name, source) for name, address in targets.items() if address in seen}

    def by_job(target: str) -> set[tuple[str, str]]:
        text, targets = script("")
        # The agent of the network policies knows a new pod after a second or two.
        name = jobs.submit(target=target, script=f"#!/bin/bash\n{text}sleep 6\necho later\n{text}")
        status = jobs.until(name, "Succeeded", "Failed", "Refused")
        assert status["phase"] == "Succeeded", status
        first, _, later = jobs.output(name).partition("later\n")
        at_once = {pair for pair in reached(f"job on {target}", first, targets) if pair[0] in hosts}
        found = reached(f"job on {target}", later, targets)
        assert at_once <= found, f"reached at once only: {at_once - found}"
        return found

    def by_user(host: str) -> set[tuple[str, str]]:
        text, targets = script(host)
        return reached(host, site.shell(host, text, "alice"), targets)

    def from_outside() -> set[tuple[str, str]]:
        text, targets = script("")
        done = site.kubectl("-n", outside, "exec", outside, "--", "bash", "-c", text)
        return reached(OUTSIDE, done, targets)

    with ThreadPoolExecutor() as pool:
        waiting = [pool.submit(by_job, target) for target in ("kubernetes", "slurm")]
        waiting += [pool.submit(by_user, host) for host in HOSTS]
        waiting.append(pool.submit(from_outside))
        pairs = {pair for one in waiting for pair in one.result()}
    everything = {**hosts, **cluster}
    return {name: sorted(source for target, source in pairs if target == name) for name in sorted(everything)}


def test_everybody_reaches_what_is_declared_and_nothing_else(site: Site, jobs: Jobs, outside: str) -> None:
    found = measured(site, jobs, outside)
    declared = {name: sorted(sources or ()) for name, sources in yaml.safe_load(DECLARED.read_text()).items()}
    assert found == declared, yaml.safe_dump(found, width=110)
