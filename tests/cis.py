"""docs/cis.md, made from tests/e2e/cis.yml, and the script of its checks: `python -m tests.cis > FILE`."""

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, TypeAdapter

Answer = Literal["met", "not met", "not ours"]
Place = Literal["control plane", "nodes"]

_DATA = Path(__file__).with_name("e2e") / "cis.yml"
_HELPERS = _DATA.with_suffix(".sh")
_HEAD = """# CIS Kubernetes Benchmark

<!-- made by `make docs` from tests/e2e/cis.yml -->

How a cluster of platformctl answers the controls of the CIS Kubernetes Benchmark, v1.12, with the roles'
defaults. The benchmark's own text says what each control means in detail; here are short words for it.

{counts}

The last column says how the answer is known. `test`: a check of `tests/e2e/test_cis.py` on an installed lab,
which must pass where the control is met, and fail where it is not. `reading`: no program checks it.

A scanner that reads only options of processes and `/var/lib/kubelet/config.yaml` may report more as not met:
kubelets have the platform's settings from `/etc/kubernetes/kubelet.conf.d`. The tests ask each kubelet what
it runs with.
"""
_CHAPTERS = {
    "1.1": "Files of the control plane",
    "1.2": "API server",
    "1.3": "Controller manager",
    "1.4": "Scheduler",
    "2": "etcd",
    "3.1": "Authentication",
    "3.2": "Audit log",
    "4.1": "Files of nodes",
    "4.2": "Kubelet",
    "4.3": "kube-proxy",
    "5.1": "Rights and service accounts",
    "5.2": "Admission of pods",
    "5.3": "Network policies",
    "5.4": "Secrets",
    "5.5": "Images",
    "5.6": "General",
}


class Control(BaseModel):
    """A control of the benchmark and the platform's answer."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    number: str
    asks: str
    answer: Answer
    why: str = ""
    where: Place = "control plane"
    # Lines of a shell that end with 0 where the control is met, with the helpers of cis.sh.
    check: str = ""

    @property
    def chapter(self) -> str:
        """The key of _CHAPTERS that it belongs to."""
        return "2" if self.number.startswith("2.") else self.number.rpartition(".")[0]


def controls() -> list[Control]:
    """All controls, in the benchmark's order."""
    return TypeAdapter(list[Control]).validate_python(yaml.safe_load(_DATA.read_text()))


def script(wanted: Iterable[Control]) -> str:
    """A shell script that prints the number of each control and the exit status of its check, one a line."""
    parts = [f"(\n{control.check}\n) >/dev/null 2>&1\necho {control.number} $?" for control in wanted]
    return "\n".join([_HELPERS.read_text(), *parts, ""])


def document() -> str:
    """The page: one table for each chapter."""
    found = controls()
    answers = [control.answer for control in found]
    counts = (
        f"Of {len(found)} controls, {answers.count('met')} are met and {answers.count('not met')} are not. "
        f"Not ours, but the site's own decision: {answers.count('not ours')}."
    )
    return "\n".join([_HEAD.format(counts=counts), *_tables(found)])


def _tables(found: Iterable[Control]) -> Iterator[str]:
    by_chapter: dict[str, list[Control]] = {name: [] for name in _CHAPTERS}
    for control in found:
        by_chapter[control.chapter].append(control)
    for chapter, title in _CHAPTERS.items():
        yield f"## {chapter} {title}\n"
        yield "| number | what it asks | answer | why | seen by |"
        yield "|---|---|---|---|---|"
        yield from map(_row, by_chapter[chapter])
        yield ""


def _row(control: Control) -> str:
    why = control.why.strip().replace("|", "\\|")
    seen = "test" if control.check else "reading"
    return f"| {control.number} | {control.asks} | {control.answer} | {why} | {seen} |"


if __name__ == "__main__":
    sys.stdout.write(document())
