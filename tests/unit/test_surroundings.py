import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from platformctl import surroundings

# What operators' machines set, each of which once changed what platformctl does or made it hang.
EVIL = {
    "ANSIBLE_CONFIG": "/tmp/evil.cfg",
    "ANSIBLE_SKIP_TAGS": "base",
    "ANSIBLE_BECOME_ASK_PASS": "true",
    "ANSIBLE_CALLBACK_PLUGINS": "/tmp/evil",
    "ANSIBLE_STDOUT_CALLBACK": "oneline",
    "ANSIBLE_COLLECTIONS_PATH": "/tmp/evil",
    "ANSIBLE_ASK_VAULT_PASS": "true",
    "PYTHONPATH": "/tmp/evil",
    "PYTHONINSPECT": "1",
    "PYTHONWARNINGS": "error",
    "PYTHONOPTIMIZE": "2",
    "LD_PRELOAD": "",
    "BASH_ENV": "/tmp/evil.sh",
    "ENV": "/tmp/evil.sh",
    "GREP_OPTIONS": "--color=always",
    "HTTPS_PROXY": "http://192.0.2.1:3128",
    "http_proxy": "http://192.0.2.1:3128",
    "ALL_PROXY": "socks5://192.0.2.1:1080",
    "NO_PROXY": "wrong",
    "SSH_ASKPASS": "/bin/false",
    "SSH_ASKPASS_REQUIRE": "force",
    "DISPLAY": ":0",
    "HELM_NAMESPACE": "evil",
    "HELM_DRIVER": "memory",
    "LC_MESSAGES": "de_DE.UTF-8",
    "LANGUAGE": "de",
    "CDPATH": "/tmp",
    "POSIXLY_CORRECT": "1",
}


@pytest.mark.parametrize("name", EVIL)
def test_what_is_not_listed_reaches_no_child(name: str) -> None:
    assert name not in surroundings.kept({"HOME": "/home/alice", **EVIL})


def test_ways_to_log_in_and_folders_stay() -> None:
    own = {
        "HOME": "/home/alice",
        "SSH_AUTH_SOCK": "/run/agent",
        "KRB5CCNAME": "FILE:/tmp/krb",
        "XDG_STATE_HOME": "/state",
        "AWS_PROFILE": "site",
        "ANSIBLE_VAULT_PASSWORD_FILE": "/keys/site",
        "PLATFORMCTL_KEEP": "BASTION",
        "BASTION": "gate",
    }
    kept = surroundings.kept({**own, **EVIL})
    assert {name: kept[name] for name in own} == own
    assert (kept["LANG"], kept["LC_ALL"]) == ("C.UTF-8", "C.UTF-8")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("/opt/bin:/usr/bin", "/opt/bin:/usr/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/sbin:/bin"),
        (".:bin::/opt/bin", "/opt/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
        ("", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
    ],
)
def test_programs_are_found_in_absolute_folders_and_in_those_of_the_system(given: str, expected: str) -> None:
    assert surroundings.kept({"PATH": given})["PATH"] == expected


@pytest.mark.parametrize(("columns", "kept"), [("120", True), ("0", False), ("3", False), ("wide", False)])
def test_an_impossible_width_does_not_count(columns: str, kept: bool) -> None:
    assert ("COLUMNS" in surroundings.kept({"COLUMNS": columns})) is kept


def test_a_folder_for_temporary_files_must_be_there(tmp_path: Path) -> None:
    assert surroundings.kept({"TMPDIR": str(tmp_path)})["TMPDIR"] == str(tmp_path)
    assert "TMPDIR" not in surroundings.kept({"TMPDIR": str(tmp_path / "none")})


@pytest.mark.parametrize(
    ("url", "environment", "expected"),
    [
        ("https://dl.example/x", {}, None),
        ("https://dl.example/x", {"HTTPS_PROXY": "http://p:1"}, "http://p:1"),
        ("http://dl.example/x", {"HTTPS_PROXY": "http://p:1"}, None),
        ("https://dl.example/x", {"HTTPS_PROXY": "http://p:1", "https_proxy": "http://q:2"}, "http://q:2"),
        ("https://dl.example/x", {"https_proxy": "q:2"}, "http://q:2"),
        ("https://dl.example/x", {"ALL_PROXY": "http://a:3"}, "http://a:3"),
        ("https://dl.example/x", {"ALL_PROXY": "socks5://a:3"}, None),
        ("https://dl.example:444/x", {"https_proxy": "http://q:2", "no_proxy": ".example"}, None),
        ("https://dl.example/x", {"https_proxy": "http://q:2", "NO_PROXY": "other"}, "http://q:2"),
    ],
)
def test_downloads_use_the_operators_own_proxy(
    url: str, environment: dict[str, str], expected: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(surroundings, "given", lambda: environment)
    assert surroundings.proxy_for(url) == expected


def test_downloads_and_builds_get_the_way_out_and_nothing_of_ansible(monkeypatch: pytest.MonkeyPatch) -> None:
    own = {"HTTPS_PROXY": "http://p:1", "GOPROXY": "https://go.example", "SSL_CERT_FILE": "/ca.pem"}
    monkeypatch.setattr(surroundings, "given", lambda: {**EVIL, **own})
    found = surroundings.outward()
    assert {name: found[name] for name in own} == own
    assert not [name for name in found if name.startswith(("ANSIBLE_", "PYTHON", "LD_"))]


_REPORT = """
import json, os, sys
from platformctl import surroundings
surroundings.seal()
umask = os.umask(0)
print(json.dumps({"environment": dict(os.environ), "given": dict(surroundings.given()), "umask": umask,
                  "cwd": os.getcwd(), "utf8": "\\u2026".encode(sys.getfilesystemencoding()).decode(),
                  "optimize": sys.flags.optimize}), flush=True)
"""


def _sealed(environment: dict[str, str], **options: object) -> dict[str, object]:
    done = subprocess.run(
        [sys.executable, "-P", "-c", _REPORT],
        env={"HOME": "/home/alice", "PATH": os.environ["PATH"], **environment},
        capture_output=True,
        text=True,
        check=True,
        **options,  # type: ignore[call-overload]
    )
    found: dict[str, object] = json.loads(done.stdout)
    return found


def test_a_sealed_process_has_our_environment_umask_and_ansible_settings() -> None:
    found = _sealed(EVIL, preexec_fn=lambda: os.umask(0o077))
    environment = found["environment"]
    assert isinstance(environment, dict)
    assert environment["ANSIBLE_CONFIG"].endswith("playbooks/ansible.cfg")
    assert Path(environment["ANSIBLE_CONFIG"]).is_file()
    assert not EVIL.keys() - {"ANSIBLE_CONFIG"} & environment.keys()
    assert found["umask"] == 0o022
    # The interpreter was started again, without the settings that change how it works.
    assert found["optimize"] == 0


def test_what_the_caller_set_is_still_known() -> None:
    given = _sealed({"MY_DATA": "/data"})["given"]
    assert isinstance(given, dict)
    assert given["MY_DATA"] == "/data"


@pytest.mark.parametrize("locale", [{"LANG": "odd"}, {"LC_ALL": "POSIX"}, {"LC_ALL": "xx_YY.ISO-8859-1"}])
def test_any_locale_reads_and_writes_utf8(locale: dict[str, str]) -> None:
    assert _sealed(locale)["utf8"] == "…"


def test_a_removed_folder_is_left(tmp_path: Path) -> None:
    folder = tmp_path / "gone"
    folder.mkdir()

    def leave() -> None:
        os.chdir(folder)
        folder.rmdir()

    assert _sealed({}, preexec_fn=leave)["cwd"] == "/"


def test_closed_standard_files_are_replaced() -> None:
    code = (
        "import os; from platformctl import surroundings; surroundings.seal(); print('said');"
        "assert os.open('/dev/null', 0) > 2"
    )
    closed = f"exec {sys.executable} -c {json.dumps(code)} <&- >&- 2>&-"
    assert subprocess.run(["bash", "-c", closed], check=False).returncode == 0
