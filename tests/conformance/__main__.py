"""`make conformance`: the suite, its images, a lab with a whole site, the run, and what it came to.

python -m tests.conformance --focus 'sig-network' --lab mine    # a part, on a lab that is kept
python -m tests.conformance --focus 'sig-network' --count        # how many specs that is; exit 2 for none
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import yaml

from platformctl.artifacts.registry_layout import write_archive
from platformctl.errors import PlatformError
from platformctl.paths import cache_dir
from tests.conformance import exclusions, images, suite
from tests.labs import lab, platformctl
from tests.programs import program

_ROOT = Path(__file__).parents[2]
_BUILD = _ROOT / "build/conformance"
_REGISTRY = "/var/lib/docker-registry"
_SAY_SECONDS = 60


def main(arguments: list[str]) -> int:
    """Exit code: 1 when a spec failed or did not run, 2 when none has the focus in its name."""
    options = argparse.ArgumentParser(description="Kubernetes' conformance suite on a lab")
    options.add_argument("--focus", default="", help="only specs whose name has this text")
    options.add_argument("--lab", help="use this lab, and keep it")
    options.add_argument("--procs", default=4, type=int, help="specs at a time")
    options.add_argument("--count", action="store_true", help="only say how many specs these are")
    chosen = options.parse_args(arguments)
    try:
        names = exclusions.focused(exclusions.specs(suite.kubernetes()), chosen.focus)
    except PlatformError as error:
        print(f"error: {error}", file=sys.stderr)
        return int(error.code)
    if chosen.count:
        print(f"{len(names)} conformance specs")
        return 0
    left_out = exclusions.exclusions(names, exclusions.FILE.read_text()) if not chosen.focus else {}
    _BUILD.mkdir(parents=True, exist_ok=True)
    _say(f"{len(names)} specs, {len(left_out)} left out; building what is missing")
    _programs()
    archives = _archives()
    name = chosen.lab or f"conformance-{os.getpid()}"
    with lab(name, "--inventory", str(_site()), keep=bool(chosen.lab)) as inventory:
        _install(name, inventory, archives)
        report = _run([name for name in names if name not in left_out], chosen.procs)
    return _tell(report, names, left_out)


def _programs() -> None:
    for name in suite.PACKAGES:
        link = _BUILD / name
        link.unlink(missing_ok=True)
        link.symlink_to(suite.program(name))


def _archives() -> list[Path]:
    """The images as archives in the layout of the registry."""
    made = []
    for name in images.IMAGES:
        path = _BUILD / f"{name.replace('/', '_')}.tar"
        write_archive(path, images.make(name, cache_dir() / "artifacts"))
        made.append(path)
    return made


def _site() -> Path:
    """The inventory of inventories/lab with one Kubernetes node more: some specs want two."""
    site = _BUILD / "site"
    shutil.rmtree(site, ignore_errors=True)
    shutil.copytree(_ROOT / "inventories/lab", site)
    hosts = yaml.safe_load((site / "hosts.yml").read_text())
    hosts["all"]["hosts"]["node3"] = {"ansible_host": "198.51.100.14", "node_owner": "kubernetes"}
    hosts["all"]["children"]["kubernetes"]["children"]["kubernetes_node"]["hosts"]["node3"] = {}
    (site / "hosts.yml").write_text(yaml.safe_dump(hosts))
    return site


def _install(name: str, inventory: Path, archives: list[Path]) -> None:
    _say("installing the site")
    platformctl("install", "--yes", "-i", str(inventory))
    kubeconfig = _BUILD / "kubeconfig"
    platformctl("kubeconfig", "-i", str(inventory), "--file", str(kubeconfig))
    _say("filling its registry")
    for archive in archives:
        unpack = ["podman", "exec", "-i", f"platformctl-{name}-ctl1", "tar", "-x", "-C", _REGISTRY]
        with archive.open("rb") as stream:
            subprocess.run(unpack, stdin=stream, check=True)


def _run(names: list[str], procs: int) -> list[dict[str, Any]]:
    """Run the specs; returns ginkgo's reports of them."""
    kubectl = program("kubectl")
    report = _BUILD / "report.json"
    report.unlink(missing_ok=True)
    log = (_BUILD / "ginkgo.log").open("w")
    focus = exclusions.pattern(names)
    command = [str(_BUILD / "ginkgo"), "--no-color", f"--procs={procs}", f"--focus={focus}"]
    command += ["--keep-going", "--timeout=3h", "--output-dir", str(_BUILD), "--json-report", report.name]
    command += [str(_BUILD / "e2e.test"), "--", "--provider=skeleton", f"--kubectl-path={kubectl}"]
    command += [f"--kubeconfig={_BUILD / 'kubeconfig'}", "--disable-log-dump"]
    started = time.monotonic()
    with log, subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, cwd=_BUILD) as running:
        while True:
            try:
                running.wait(_SAY_SECONDS)
                break
            except subprocess.TimeoutExpired:
                _progress(Path(log.name), len(names), time.monotonic() - started)
    suites = json.loads(report.read_text())
    return [spec for found in suites for spec in found["SpecReports"] or [] if spec["LeafNodeType"] == "It"]


def _progress(log: Path, total: int, seconds: float) -> None:
    text = log.read_text(errors="replace")
    done, failed = text.count("•"), text.count("• [FAILED]")
    left = f", about {seconds / done * (total - done) / 60:.0f} min left" if done else ""
    _say(f"{done} of {total} specs, {failed} failed, {seconds / 60:.0f} min{left}")


def _tell(report: list[dict[str, Any]], names: list[str], left_out: dict[str, str]) -> int:
    """Print what became of each spec; returns the exit code."""
    states = {_name(spec): spec for spec in report if spec["State"] != "skipped"}
    for name, reason in left_out.items():
        print(f"left out: {name}\n    {reason}")
    missing = [name for name in names if name not in left_out and name not in states]
    for name in missing:
        print(f"did not run: {name}")
    failed = {name: spec for name, spec in states.items() if spec["State"] != "passed"}
    for name, spec in failed.items():
        print(f"{spec['State']}: {name}\n    {(spec.get('Failure') or {}).get('Message', '')[:600]}")
    slowest = sorted(states.items(), key=lambda item: -item[1]["RunTime"])[:10]
    for name, spec in slowest:
        print(f"{spec['RunTime'] / 1e9:7.1f} s  {name}")
    counts = Counter(spec["State"] for spec in states.values())
    passed = counts.pop("passed", 0)
    print(
        f"conformance: {passed} passed, {sum(counts.values())} failed, {len(missing)} did not run, "
        f"{len(left_out)} left out, of {len(names)}"
    )
    return 1 if failed or missing else 0


def _name(spec: dict[str, Any]) -> str:
    parts = [*(spec["ContainerHierarchyTexts"] or []), spec["LeafNodeText"]]
    return " ".join(" ".join(parts).split())


def _say(message: str) -> None:
    print(time.strftime("%H:%M:%S"), message, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
