"""Which specs belong to the conformance suite, and which of them do not run here."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import yaml

from platformctl.errors import ExitCode, PlatformError

FILE = Path(__file__).with_name("exclusions.yml")
# Kubernetes' own list, in the module k8s.io/kubernetes.
LIST = "test/conformance/testdata/conformance.yaml"


@dataclass(frozen=True)
class Exclusion:
    """spec: a part of the name of one or more specs."""

    spec: str
    reason: str


def specs(module: Path) -> list[str]:
    """The names of all conformance specs. module: the folder of k8s.io/kubernetes."""
    return [" ".join(entry["codename"].split()) for entry in yaml.safe_load((module / LIST).read_text())]


def focused(names: Iterable[str], focus: str) -> list[str]:
    """The specs whose name has a text. PlatformError: there is none, so there is nothing to run."""
    found = [name for name in names if focus in name]
    if not found:
        raise PlatformError(
            f"no conformance spec has {focus!r} in its name",
            where=LIST,
            next="FOCUS is a part of a name, with its capitals: make conformance FOCUS='[sig-network] DNS'",
            code=ExitCode.INVALID,
        )
    return found


def exclusions(names: Iterable[str], text: str) -> dict[str, str]:
    """The excluded specs with their reasons. ValueError: an entry without a reason, or one that fits none."""
    known = list(names)
    found: dict[str, str] = {}
    for entry in (Exclusion(**item) for item in yaml.safe_load(text)):
        fitting = [name for name in known if entry.spec in name]
        if not fitting or not entry.reason.strip():
            raise ValueError(f"{FILE}: {entry.spec!r} {'has no reason' if fitting else 'fits no spec'}")
        found |= dict.fromkeys(fitting, entry.reason)
    return found


def pattern(names: Iterable[str]) -> str:
    """The regular expression by which ginkgo chooses specs of these names; empty for none."""
    return "|".join(re.escape(name) for name in names)
