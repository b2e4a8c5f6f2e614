"""Tries containerd's files: containerd reads its own, and a setting that it does not know is a mistake.

containerd passes over settings that it does not know; they are missing from the settings that it then has.
"""

import pathlib
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from typing import Any

CONFIG = pathlib.Path("/etc/containerd/config.toml")
MIRRORS = pathlib.Path("/etc/containerd/certs.d")


def main() -> int:
    """Print what is wrong."""
    mistakes = [*_mirrors(), *_config()]
    print("\n".join(mistakes), end="")  # noqa: T201
    return int(bool(mistakes))


def _mirrors() -> Iterator[str]:
    for path in MIRRORS.glob("*/hosts.toml"):
        try:
            tomllib.loads(path.read_text())
        except tomllib.TOMLDecodeError as error:
            yield f"{path}: {error}"


def _config() -> list[str]:
    if not CONFIG.is_file():
        return []
    command = ["containerd", "--config", str(CONFIG), "config", "dump"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        return [done.stderr.strip()]
    wanted, known = tomllib.loads(CONFIG.read_text()), tomllib.loads(done.stdout)
    # A containerd with another version of the file shows all settings under the names of its own version.
    if wanted.get("version") != known.get("version"):
        return []
    return [f"{CONFIG}: containerd has no setting {name}" for name in _unknown(wanted, known)]


def _unknown(wanted: dict[str, Any], known: dict[str, Any], inside: str = "") -> Iterator[str]:
    for name, value in wanted.items():
        where = f"{inside}.{name}" if inside else name
        if name not in known:
            yield where
        elif isinstance(value, dict) and isinstance(known[name], dict):
            yield from _unknown(value, known[name], where)


if __name__ == "__main__":
    sys.exit(main())
