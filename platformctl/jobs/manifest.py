"""Turns a file of the user, a manifest or a script, into Job documents for the API server.

It changes only what the user asked for, except that a Job without a name gets one from the file's name.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from platformctl.jobs.model import Refusal
from platformctl.vocabulary import API_VERSION, JOB_KIND

_STEM = 40
_INDENT = 2
# What a block can hold as it is: no control characters, and none of Unicode's line ends.
_HELD = re.compile("[\t\n\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]*")


class NotAManifestError(Exception):
    """The text contains no Jobs; the message says what it contains instead."""


def is_script(text: str) -> bool:
    """Whether a text is a script and not a manifest: it begins with its interpreter."""
    return text.startswith("#!")


def from_script(text: str, stem: str) -> dict[str, Any]:
    """A Job that runs a script. stem: what the name is made from."""
    return {
        "apiVersion": API_VERSION,
        "kind": JOB_KIND,
        "metadata": {"generateName": f"{name_stem(stem)}-"},
        "spec": {"script": text},
    }


def from_manifest(text: str, stem: str) -> list[dict[str, Any]]:
    """The Jobs of a YAML or JSON text, in order; it may have several documents and Lists."""
    try:
        documents = [document for document in yaml.safe_load_all(text) if document is not None]
    except yaml.YAMLError as error:
        raise NotAManifestError(f"is not YAML: {error}") from error
    jobs = [job for document in documents for job in _jobs(document)]
    if not jobs:
        raise NotAManifestError("holds no Job")
    for job in jobs:
        metadata = job.setdefault("metadata", {})
        if isinstance(metadata, dict) and not metadata.get("name") and not metadata.get("generateName"):
            metadata["generateName"] = f"{name_stem(stem)}-"
    return jobs


def override(job: dict[str, Any], name: str, fields: Mapping[str, Any]) -> dict[str, Any]:
    """The Job with another name and other fields of its spec; None or empty values change nothing."""
    changed = {key: value for key, value in fields.items() if value not in (None, "")}
    metadata = dict(job["metadata"])
    if name:
        metadata.pop("generateName", None)
        metadata["name"] = name
    return {**job, "metadata": metadata, "spec": {**(job.get("spec") or {}), **changed}}


def as_yaml(value: Any) -> str:
    """Any document as YAML for people: texts of several lines are written as blocks.

    PyYAML writes a text with a tab, or with a blank at the end of a line, in quotes on one line. A block can
    hold both, so blocks are written here, in the place of words that stand for them.
    """
    texts: list[str] = []
    mark = "BLOCK_"
    while mark in str(value):
        mark += "_"
    marked = value if isinstance(value, str) else _marked(value, mark, texts)
    shown = yaml.dump(marked, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110)
    return re.sub(rf"(?m)^( *)((?:- )*)(.*?){mark}(\d+)$", lambda line: _block(line, texts), shown)


def _marked(value: Any, mark: str, texts: list[str]) -> Any:
    """The value with words in the place of texts that a block can hold; texts: these, in order."""
    if isinstance(value, dict):
        return {key: _marked(item, mark, texts) for key, item in value.items()}
    if isinstance(value, list):
        return [_marked(item, mark, texts) for item in value]
    if not isinstance(value, str) or "\n" not in value or not _HELD.fullmatch(value):
        return value
    texts.append(value)
    return f"{mark}{len(texts) - 1}"


def _block(line: re.Match[str], texts: Sequence[str]) -> str:
    text = texts[int(line[4])]
    body = text.rstrip("\n")
    ends = len(text) - len(body)
    chomping = "-" if not ends else "" if ends == 1 and body else "+"
    # A reader takes the indentation from the first line that is not empty, unless it is said.
    said = str(_INDENT) if re.match(r"\n*[ \t]", text) or not body else ""
    # Behind a key it is indented more than the key, otherwise more than the last dash.
    margin = " " * (len(line[1]) + len(line[2]) + (_INDENT if line[3] else 0))
    lines = [f"{margin}{part}" if part else "" for part in (body.split("\n") if body else [])]
    kept = [""] * (ends - 1 if body else ends)
    return "\n".join([f"{line[1]}{line[2]}{line[3]}|{said}{chomping}", *lines, *kept])


def name_stem(text: str) -> str:
    """Any text turned into what Kubernetes allows in a name; at most 40 characters."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower())[:_STEM].strip("-") or "job"


def complaints(refusals: list[Refusal]) -> list[str]:
    """Refusals as lines for people, once each."""
    return list(dict.fromkeys(str(refusal) for refusal in refusals))


def _jobs(document: object) -> list[dict[str, Any]]:
    if not isinstance(document, dict):
        raise NotAManifestError("holds something else than Kubernetes objects")
    if document.get("kind") == "List":
        return [job for item in document.get("items") or [] for job in _jobs(item)]
    kind, version = str(document.get("kind")), str(document.get("apiVersion"))
    if (version, kind) != (API_VERSION, JOB_KIND):
        raise NotAManifestError(
            f"holds a {kind} of {version}; only a {JOB_KIND} of {API_VERSION} can be submitted"
        )
    return [document]


class _Dumper(yaml.SafeDumper):
    """Without anchors, which people do not read."""

    def ignore_aliases(self, _data: Any) -> bool:
        """Every value is written out."""
        return True
