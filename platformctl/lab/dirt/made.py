"""What all dirt is made with: commands as root on a host, and files that are put there and taken away."""

import shlex
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from platformctl.errors import PlatformError
from platformctl.lab import apt_cache
from platformctl.lab.lifecycle import Lab
from platformctl.lab.noted import Injection, Noted, noted

# A file that was there is kept beside, in memory, so that the disk has nothing but the dirt.
_KEPT = "/run/dirt"
_PUT = f"""
set -eu
path=$1; kept={_KEPT}$path
if [ -e "$path" ] && [ ! -e "$kept" ]; then mkdir -p "${{kept%/*}}"; cp --archive "$path" "$kept"; fi
mkdir -p "${{path%/*}}"
cat > "$path"
"""
_TAKE = f"""
set -eu
for path; do
  kept={_KEPT}$path
  if [ -e "$kept" ]; then rm -f "$path"; cp --archive "$kept" "$path"; rm -f "$kept"; else rm -f "$path"; fi
done
"""


def dirt[**P](inject: Injection[P]) -> Noted[P]:
    """A context manager that makes a host dirty; an error that leaves its block gets a note that says so."""
    return noted(inject, "dirt")


def root(lab: Lab, host: str, script: str, *arguments: str, data: str | None = None) -> str:
    """The output of a shell script as root on a host, beside ssh. PlatformError: it failed."""
    done = lab.exec(host, ["sh", "-c", script, "sh", *arguments], data)
    if done.returncode:
        raise PlatformError(
            f"a host could not be made dirty, or clean again: {done.stderr.strip() or done.stdout.strip()}",
            where=f"{host} of lab {lab.name}: sh -c {shlex.quote(script.strip())}",
        )
    return done.stdout


@contextmanager
def made(lab: Lab, host: str, make: str, undo: str) -> Iterator[None]:
    """Run a script as root, and for the end of the block another one, if the host still runs."""
    try:
        root(lab, host, make)
        yield
    finally:
        if lab.exec(host, ["true"]).returncode == 0:
            root(lab, host, undo)


@contextmanager
def files(lab: Lab, host: str, contents: Mapping[str, str]) -> Iterator[None]:
    """Files with these contents at these paths. What was there before comes back after the block."""
    try:
        for path, content in contents.items():
            root(lab, host, _PUT, path, data=content)
        yield
    finally:
        if lab.exec(host, ["true"]).returncode == 0:
            root(lab, host, _TAKE, *contents)


@contextmanager
def proxied(lab: Lab, host: str) -> Iterator[None]:
    """apt uses the lab's cache of packages, and the lists are gone afterwards, as on a new host."""
    text = f'Acquire::http::Proxy "http://{lab.slot[1]}:{apt_cache.PORT}";\n'
    with (
        files(lab, host, {"/etc/apt/apt.conf.d/01dirt": text}),
        made(lab, host, "true", "rm -rf /var/lib/apt/lists/*_*"),
    ):
        yield
