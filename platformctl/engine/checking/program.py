"""Joins the files that look at a host into one program, which ssh sends to a Python there.

The same files are modules of Ansible. On the host the names of Ansible's packages lead to what was sent, so
that they can import each other; Ansible itself need not be there.
"""

import ast
import base64
import json
import zlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

COMMAND = "exec python3 -"
_SHARED = "ansible.module_utils"
_LOADER = """
import importlib.abc, importlib.util, json, sys
class _Sent(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def find_spec(self, name, path=None, target=None):
        if name in SOURCES:
            return importlib.util.spec_from_loader(name, self, is_package=name in PACKAGES)
    def exec_module(self, module):
        exec(compile(SOURCES[module.__name__], module.__name__, "exec"), module.__dict__)
sys.meta_path.insert(0, _Sent())
import sent
sent.answer_program(json.loads(ARGUMENTS))
"""


def program(data: Path, main: str, arguments: Mapping[str, Any]) -> str:
    """The text of a program that calls `answer_program(arguments)` of the file `main` below the data folder.

    The arguments are in the text and not on the command line, where every user of the host could read them.
    """
    return f"{_sources(data, main)}ARGUMENTS = {json.dumps(arguments)!r}\n{_LOADER}"


@cache
def _sources(data: Path, main: str) -> str:
    sources = {"sent": (data / main).read_text(), "ansible": "", _SHARED: ""}
    shared = _shared(data / "playbooks/module_utils")
    unread = ["sent"]
    while unread:
        for name in _imports(sources[unread.pop()]):
            if name in shared and name not in sources:
                sources[name] = shared[name]
                unread.append(name)
    packages = [name for name in sources if any(other.startswith(f"{name}.") for other in sources)]
    # A quarter of the size, which counts on a slow line.
    packed = base64.b64encode(zlib.compress(json.dumps(sources).encode(), 9)).decode()
    unpack = "import base64, json, zlib\nSOURCES = json.loads(zlib.decompress(base64.b64decode(PACKED)))\n"
    return f"PACKED = {packed!r}\n{unpack}PACKAGES = {packages!r}\n"


def _shared(folder: Path) -> dict[str, str]:
    """What several modules share: text by the name under which they import it."""
    found = {}
    for path in folder.rglob("*.py"):
        place = path.relative_to(folder).with_suffix("")
        words = place.parent.parts if place.name == "__init__" else place.parts
        found[".".join([_SHARED, *words])] = path.read_text()
    return found


def _imports(text: str) -> set[str]:
    """Every module that a text may import by a full name, with the packages around it."""
    names = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    parts = [name.split(".") for name in names]
    return {".".join(words[:end]) for words in parts for end in range(1, len(words) + 1)}
