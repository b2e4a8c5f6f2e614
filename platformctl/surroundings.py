"""The environment that platformctl and its children run in: the same wherever it is started.

`seal` makes it at the start of the command. Variables that are not listed here reach no child: neither
Ansible's nor Python's settings, proxies, or what preloads libraries. What a few commands need of the caller's
own environment, such as proxies for downloads, they ask for with `given` or `outward`.
"""

import contextlib
import locale
import os
import re
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import proxy_bypass_environment  # type: ignore[attr-defined]

from platformctl import paths

UMASK = 0o022
"""Modes are the same everywhere; what is private says so itself."""

KEEP_VARIABLE = "PLATFORMCTL_KEEP"
"""Names further variables to keep, separated by spaces; for example what a ProxyCommand of ssh reads."""

# The last one: a user's own defaults of kubectl do not count.
_FIXED = {"LANG": "C.UTF-8", "LC_ALL": "C.UTF-8", "KUBECTL_KUBERC": "false"}
_SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_KEPT = re.compile(
    r"HOME|PATH|USER|LOGNAME|SHELL|TMPDIR|TZ|LD_LIBRARY_PATH"
    r"|TERM|COLORTERM|NO_COLOR|FORCE_COLOR|COLUMNS|LINES"
    # The authorities that the operator's machine trusts: downloads are checked by them in this process.
    r"|KUBECONFIG|ANSIBLE_VAULT_PASSWORD_FILE|SSL_CERT_FILE|SSL_CERT_DIR"
    # How ssh, the program that it may start to reach a host, and one that prints the vault's key log in.
    r"|SSH_AUTH_SOCK|GNUPGHOME|PASSWORD_STORE_.*|DBUS_SESSION_BUS_ADDRESS|KRB5.*|AWS_.*|AZURE_.*|CLOUDSDK_.*|GOOGLE_.*"
    r"|XDG_.*|PLATFORMCTL_.*|MOLECULE_.*|_PLATFORMCTL_COMPLETE|_TYPER_.*|COMP_.*"
    # A program that was told not to write byte code or to buffer must not.
    r"|PYTHONDONTWRITEBYTECODE|PYTHONUNBUFFERED|PYTHONUTF8"
)
# What downloads and builds need besides: the way out of the site, and the settings of their tools.
_OUTWARD = re.compile(
    r"(?i:https?_proxy|all_proxy|no_proxy|ftp_proxy)"
    r"|(SSL_CERT|PIP_|UV_|GO|GIT_|CARGO_).*|(REQUESTS|CURL)_CA_BUNDLE|NETRC|CC|CXX|DEBIAN_FRONTEND"
)
# These change how this very process works, so they are removed before it starts.
_INTERPRETER = re.compile(r"PYTHON(?!DONTWRITEBYTECODE$|UNBUFFERED$|UTF8$).*|LD_PRELOAD|LD_AUDIT")
_NARROWEST = 20

_given: dict[str, str] | None = None
_given_umask: int | None = None


def given() -> Mapping[str, str]:
    """The environment as the caller made it, with everything in it."""
    return os.environ if _given is None else _given


def given_umask() -> int:
    """The caller's own umask, for what is made in the caller's name elsewhere."""
    if _given_umask is not None:
        return _given_umask
    mask = os.umask(UMASK)
    os.umask(mask)
    return mask


def kept(environment: Mapping[str, str]) -> dict[str, str]:
    """The part of an environment that children get, with a sound PATH and our locale."""
    extra = environment.get(KEEP_VARIABLE, "").split()
    values = {name: value for name, value in environment.items() if _KEPT.fullmatch(name) or name in extra}
    columns = values.get("COLUMNS", "")
    if not columns.isdigit() or int(columns) < _NARROWEST:
        values.pop("COLUMNS", None)
    if "TMPDIR" in values and not os.access(values["TMPDIR"], os.W_OK | os.X_OK):
        del values["TMPDIR"]
    return {**values, **_FIXED, "PATH": _sound_path(environment.get("PATH", ""))}


def children() -> dict[str, str]:
    """The environment of a child that works on the site."""
    return kept(os.environ)


def outward() -> dict[str, str]:
    """The environment of a child that reaches out of the site: for downloads and builds."""
    outside = {name: value for name, value in given().items() if _OUTWARD.fullmatch(name)}
    return kept(given()) | outside


def proxy_for(url: str) -> str | None:
    """The caller's own proxy for an address outside of the site; None for a direct connection."""
    own = {name.lower(): value for name, value in given().items() if name.isupper()}
    own |= {name: value for name, value in given().items() if name.islower()}
    target = urlsplit(url)
    proxy = own.get(f"{target.scheme}_proxy") or own.get("all_proxy") or ""
    bypass = proxy_bypass_environment(target.netloc, {"no": own.get("no_proxy", "")})
    if bypass or not proxy:
        return None
    proxy = proxy if "://" in proxy else f"http://{proxy}"
    return proxy if proxy.startswith(("http://", "https://")) else None


def seal() -> None:
    """Make this process independent of how it was started; at its start, before Ansible is loaded.

    Python reads some variables only when it starts: with these, the same command is started again without
    them.
    """
    global _given, _given_umask
    _open_standard_files()
    _restart_if_needed()
    _given_umask = os.umask(UMASK)
    _given = dict(os.environ)
    wanted = {**kept(_given), **ansible()}
    for name in _given.keys() - wanted.keys():
        del os.environ[name]
    os.environ.update(wanted)
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, ValueError):
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    try:
        Path.cwd()
    except OSError:
        # The folder was removed: programs that ask for it would fail, whatever they are to do.
        os.chdir("/")


def ansible() -> dict[str, str]:
    """Where Ansible finds its settings: in our file, and nowhere in a home folder or below /etc."""
    playbooks = paths.data_dir() / "playbooks"
    return {
        "ANSIBLE_CONFIG": str(playbooks / "ansible.cfg"),
        "ANSIBLE_LOCAL_TEMP": tempfile.gettempdir(),
    }


def _sound_path(path: str) -> str:
    """The absolute folders of a PATH, and those of the system that it lacks."""
    folders = [folder for folder in path.split(":") if folder.startswith("/")]
    return ":".join(dict.fromkeys([*folders, *_SYSTEM_PATH.split(":")]))


def _open_standard_files() -> None:
    """Files that are opened later must not get the numbers of closed standard files."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDONLY if number == 0 else os.O_WRONLY)
    sys.stdin = sys.stdin or open(0, closefd=False)  # noqa: SIM115 - open for the whole run
    sys.stdout = sys.stdout or open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = sys.stderr or open(2, "w", closefd=False)  # noqa: SIM115


def _restart_if_needed() -> None:
    """Start this command again if variables or an odd locale changed how Python itself works."""
    changed = {name for name in os.environ if _INTERPRETER.fullmatch(name)}
    # An interpreter that finds platformctl only through PYTHONPATH keeps that.
    if any(Path(__file__).is_relative_to(Path(entry).resolve()) for entry in _python_path()):
        changed.discard("PYTHONPATH")
    odd = locale.getencoding().lower().replace("-", "") != "utf8" and not sys.flags.utf8_mode
    if not changed and not odd:
        return
    for name in changed:
        del os.environ[name]
    os.environ["PYTHONUTF8"] = "1"
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606 - the same command


def _python_path() -> list[str]:
    return [entry for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if entry]
