#!/usr/bin/python
"""Install Debian packages, and say what is waited for and why it failed, in apt's own words.

One task for all of it, since over ssh a task costs about half a second a host: wait for whoever installs
packages now, finish what an apt that was cut off has left, read the package lists if they are old, install
what is missing. Ansible's own module waits without a word, and does not say why a source could not be read.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pathlib
import re
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = """
module: host_packages
short_description: Install packages without starting their services
description:
  - Waits while something else installs packages, and says on the host what it waits for.
  - Configures packages that were unpacked only; apt refuses to work before that.
  - Reads the package lists if they are old, incomplete, or older than the list of sources.
  - Installs what is missing. No service starts, and no package is removed that is not named.
options:
  names:
    description: Debian packages, also with a version (C(name=version)).
    type: list
    elements: str
    required: true
  lists_valid_seconds:
    description: Age up to which package lists count as fresh.
    type: int
    default: 86400
  lock_seconds:
    description: How long to wait for another program that installs packages.
    type: int
    default: 300
  root:
    description: Folder that holds the host's files.
    type: path
    default: /
"""

EXAMPLES = """
- host_packages:
    names: [munge]
"""

RETURN = """
done: {description: What was done., type: list, elements: str, returned: always}
"""

_POLICY = "#!/bin/sh\n# Of platformctl, while it installs packages: no service starts by itself.\nexit 101\n"
# As Ansible's apt leaves it when it is cut off. Then its apt-get has taken the lock long before.
_ANSIBLES_POLICY = "#!/bin/sh\nexit 101\n"
_SETTLED_SECONDS = 60
_UNFINISHED = {"unpacked", "half-configured", "triggers-awaited", "triggers-pending"}
_LOCKS = ("var/lib/dpkg/lock-frontend", "var/lib/dpkg/lock", "var/lib/apt/lists/lock")
_QUIET = {"DEBIAN_FRONTEND": "noninteractive", "APT_LISTCHANGES_FRONTEND": "none", "LC_ALL": "C.UTF-8"}
_KEEP_FILES = ("-o", "Dpkg::Options::=--force-confdef", "-o", "Dpkg::Options::=--force-confold")
_UPDATE = (
    *("apt-get", "update", "-o", "APT::Update::Error-Mode=any", "-o", "Acquire::Retries=2"),
    *("-o", "Acquire::http::Timeout=20", "-o", "Acquire::https::Timeout=20"),
)
# What a new list mends: the mirror has moved on.
_STALE = re.compile("404 +Not Found|Unable to locate package|Hash Sum mismatch|no installation candidate")
_REMOVAL = "remove is disabled"
_LOCKED = re.compile("Could not get lock|Unable to lock|is locked by another process")
_TRIES = 3


class _FailedError(Exception):
    """The reason why packages cannot be installed."""


class Host:
    """The packages of the host on which this runs."""

    def __init__(self, module: AnsibleModule) -> None:
        self.module = module
        self.root = pathlib.Path(module.params["root"])
        self.stamp = self.root / "var/lib/platformctl/package-lists"
        self.run = self.root / "run/platformctl"
        self.note = self.run / "waiting" / str(os.getpid())
        self.done: list[str] = []

    def bring(self) -> None:
        """Do all of it."""
        names = self.module.params["names"]
        with self._alone():
            self._wait_for_locks()
            self._recover()
            missing = self._missing(names)
            if not missing:
                return
            if self.module.check_mode:
                self.done.append(f"installed {', '.join(missing)}")
                return
            fresh = self._lists_fresh()
            if not fresh:
                self._update()
            try:
                self._install(missing)
            except _FailedError as error:
                if not fresh or not _STALE.search(str(error)):
                    raise
                self._update()
                self._install(missing)

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """Two stages may install packages on a host at once: one waits for the other."""
        (self.run / "waiting").mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            with (self.run / "packages.lock").open("a") as lock:
                self._say("waits for another stage that installs packages")
                fcntl.flock(lock, fcntl.LOCK_EX)
                self._say("")
                yield
        finally:
            self.note.unlink(missing_ok=True)

    def _say(self, words: str, detail: str = "") -> None:
        """Leave on the host what this waits for; `platformctl install` reads and shows it."""
        stage = self.module._target_log_info or ""
        self.note.write_text(json.dumps({"stage": stage, "words": words, "detail": detail}))

    def _progress(self, said: str, line: str) -> None:
        """What apt-get does, or whom it waits for: another program may have taken the lock just before it."""
        if line.startswith("Waiting for cache lock"):
            number = re.search(r"held by process (\d+)", line)
            said, line = f"waits for {_program(int(number[1])) if number else 'the lock of dpkg'}", ""
        self._say(said, line)

    def _wait_for_locks(self) -> None:
        limit = self.module.params["lock_seconds"]
        end = time.monotonic() + limit
        while holder := self._holder():
            if time.monotonic() > end:
                raise _FailedError(
                    f"{holder} has kept packages from being installed for {limit} s; wait for it, or end it"
                )
            self._say(f"waits for {holder}, which holds the lock of dpkg or apt")
            time.sleep(0.5)
        self._say("")

    def _holder(self) -> str:
        """The program that holds one of apt's locks, if any."""
        inodes = {}
        for name in _LOCKS:
            with contextlib.suppress(OSError):
                inodes[(self.root / name).stat().st_ino] = name
        for line in pathlib.Path("/proc/locks").read_text().splitlines():
            words = line.split()
            # 1: POSIX ADVISORY WRITE 4242 fd:01:1234 0 EOF; one that waits has -> before the kind.
            if "->" in words or len(words) < 6:
                continue
            if int(words[5].rpartition(":")[2]) in inodes and int(words[4]) != os.getpid():
                return _program(int(words[4]))
        return ""

    def _recover(self) -> None:
        """Finish what was cut off, while the policy that was left keeps services from starting."""
        query = ["dpkg-query", f"--root={self.root}", "--show", "--showformat=${db:Status-Status}\\n"]
        _, states, _ = self.module.run_command(query, check_rc=True)
        if _UNFINISHED & set(states.split()) or any((self.root / "var/lib/dpkg/updates").iterdir()):
            if not self.module.check_mode:
                self._command(
                    [
                        "dpkg",
                        f"--root={self.root}",
                        "--force-confdef",
                        "--force-confold",
                        "--configure",
                        "-a",
                    ],
                    "configures packages that were only unpacked",
                )
            self.done.append("configured packages")
        self._remove_policy()

    def _remove_policy(self) -> None:
        path, kept = self._policy()
        text = path.read_text(errors="replace") if path.is_file() else ""
        settled = path.is_file() and time.time() - path.stat().st_mtime >= _SETTLED_SECONDS
        if text == _POLICY or (text == _ANSIBLES_POLICY and settled):
            if not self.module.check_mode:
                path.unlink()
            self.done.append(f"removed {path}")
        if kept.exists() and not self.module.check_mode:
            kept.rename(path)

    def _policy(self) -> tuple[pathlib.Path, pathlib.Path]:
        path = self.root / "usr/sbin/policy-rc.d"
        return path, path.with_name("policy-rc.d.platformctl")

    @contextlib.contextmanager
    def _no_service_starts(self) -> Iterator[None]:
        path, kept = self._policy()
        if path.exists():
            path.rename(kept)
        path.write_text(_POLICY)
        path.chmod(0o755)
        try:
            yield
        finally:
            path.unlink(missing_ok=True)
            if kept.exists():
                kept.rename(path)

    def _missing(self, names: Sequence[str]) -> list[str]:
        show = "--showformat=${Package} ${Package}:${Architecture} ${Version} ${db:Status-Status}\\n"
        _, output, _ = self.module.run_command(
            ["dpkg-query", f"--root={self.root}", "--show", show], check_rc=True
        )
        have = set()
        for line in output.splitlines():
            name, full, version, state = (*line.split(), "", "", "", "")[:4]
            if state == "installed":
                have |= {name, full, f"{name}={version}", f"{full}={version}"}
        return [name for name in dict.fromkeys(names) if name not in have]

    def _lists_fresh(self) -> bool:
        """Whether all present sources were read not long ago: an update that failed leaves new files too."""
        lists = self.root / "var/lib/apt/lists"
        if not self.stamp.is_file() or not any(lists.glob("*Release")):
            return False
        at = self.stamp.stat().st_mtime
        changed = [path.stat().st_ctime for path in self._sources()]
        return time.time() - at < self.module.params["lists_valid_seconds"] and at >= max(changed, default=0)

    def _sources(self) -> list[pathlib.Path]:
        folder = self.root / "etc/apt"
        found = [folder / "sources.list", folder / "sources.list.d", *(folder / "sources.list.d").glob("*.*")]
        return [path for path in found if path.exists()]

    def _update(self) -> None:
        self.stamp.unlink(missing_ok=True)
        started = time.time()
        code, output = self._apt([*_UPDATE], "apt-get reads the package lists")
        failed = _unread(output)
        if code or failed:
            sources = [self._named(line) for line in failed] or [_end(output)]
            raise _FailedError(
                "apt cannot read all package sources, so nothing was installed; repair these sources on the "
                "host, or remove them:\n" + "\n".join(sources)
            )
        self.stamp.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.stamp.touch()
        os.utime(self.stamp, (started, started))
        self.done.append("read the package lists")

    def _named(self, line: str) -> str:
        """A complaint of apt, with the file that names the source."""
        for url in re.findall(r"[a-z+]+://[^\s'\"]+", line):
            place = url.partition("/dists/")[0].rstrip("/")
            for path in self._sources():
                if path.is_file() and place in path.read_text(errors="replace"):
                    return f"{line} (source in {path})"
        return line

    def _install(self, names: Sequence[str]) -> None:
        options = ["--yes", "--no-install-recommends", "-o", "DPkg::Lock::Timeout=120", *_KEEP_FILES]
        with self._no_service_starts():
            more = f" and {len(names) - 3} more packages" if len(names) > 3 else ""
            said = f"apt-get installs {', '.join(names[:3])}{more}"
            code, output = self._apt(["apt-get", "install", *options, "--no-remove", *names], said)
        if code and _REMOVAL in output:
            raise _FailedError(self._removal(names))
        if code:
            raise _FailedError(_complaints(output) or _end(output))
        # Of a name that several packages provide, one may be there already.
        if not re.search(r"^0 upgraded, 0 newly installed", output, re.MULTILINE):
            self.done.append(f"installed {', '.join(names)}")

    def _removal(self, names: Sequence[str]) -> str:
        """Which packages apt would remove. That is only done when a host is taken on, and never here."""
        _, output = self._apt(["apt-get", "install", "--simulate", "--no-install-recommends", *names], "")
        removed = re.findall(r"^Remv (\S+)", output, re.MULTILINE)
        return (
            f"apt would remove {', '.join(removed)} for {', '.join(names)}, so nothing was installed; "
            "see platformctl preflight"
        )

    def _command(self, command: Sequence[str], said: str) -> None:
        code, output = self._apt(command, said)
        if code:
            raise _FailedError(f"{' '.join(command)} ended with exit status {code}:\n{_end(output)}")

    def _apt(self, command: Sequence[str], said: str) -> tuple[int, str]:
        """Run a command, again if another program took its lock first. Returns its exit status and output."""
        for _ in range(_TRIES):
            code, output = self._run(command, said)
            if code == 0 or not _LOCKED.search(output):
                break
            self._wait_for_locks()
        return code, output

    def _run(self, command: Sequence[str], said: str) -> tuple[int, str]:
        """Run a command to its end; its last line is left on the host meanwhile.

        Through a file: a service that starts after all would keep a pipe open for ever.
        """
        with tempfile.TemporaryFile("w+") as output:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **_QUIET},
            )
            told = 0.0
            while process.poll() is None:
                time.sleep(0.05)
                if time.monotonic() - told > 1:
                    told = time.monotonic()
                    self._progress(said, _last(output.fileno()))
            output.seek(0)
            return process.returncode, output.read()


def _last(descriptor: int) -> str:
    """The last whole line that a command has written to a file."""
    size = os.fstat(descriptor).st_size
    text = os.pread(descriptor, 400, max(0, size - 400)).decode(errors="replace")
    lines = [line for line in text.split("\n")[:-1] if line.strip()]
    return lines[-1].strip()[:100] if lines else ""


def _program(pid: int) -> str:
    try:
        name = pathlib.Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        name = "a program"
    return f"{name} (process {pid})"


def _unread(output: str) -> list[str]:
    """What apt-get update complains about, without its summary."""
    summary = re.compile(r"^[EW]: (Some index files failed|.* will not be authenticated)")
    found = [line for line in output.splitlines() if line.startswith(("E:", "W: Failed to fetch", "W: GPG"))]
    return list(dict.fromkeys(line[3:] for line in found if not summary.match(line)))


def _complaints(output: str) -> str:
    wanted = ("E: ", "dpkg: error", " Depends:", "Errors were encountered")
    lines = [line for line in output.splitlines() if line.strip().startswith(wanted) or " Depends: " in line]
    return "\n".join(dict.fromkeys(line.strip() for line in lines))


def _end(output: str) -> str:
    return "\n".join(output.strip().splitlines()[-12:])


def main() -> None:
    """Entry point of the module."""
    module = AnsibleModule(
        argument_spec={
            "names": {"type": "list", "elements": "str", "required": True},
            "lists_valid_seconds": {"type": "int", "default": 86400},
            "lock_seconds": {"type": "int", "default": 300},
            "root": {"type": "path", "default": "/"},
        },
        supports_check_mode=True,
    )
    host = Host(module)
    try:
        host.bring()
    except (_FailedError, OSError) as error:
        module.fail_json(msg=str(error), done=host.done)
    changed = [line for line in host.done if line != "read the package lists"]
    module.exit_json(changed=bool(changed), done=host.done)


if __name__ == "__main__":
    main()
