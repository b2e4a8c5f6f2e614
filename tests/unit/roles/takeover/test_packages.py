"""What apt says, as samples from Debian 13 hosts, and what is read in it."""

from pathlib import Path

import pytest
from ansible.module_utils.takeover import packages, survey  # type: ignore[import-not-found]

from tests.unit.roles.takeover.foreign import Foreign, foreign, stage

# apt-get --simulate install containerd runc munge slurmd, where Docker and a package of a team are.
DOCKER = """\
Reading package lists...
The following packages will be REMOVED:
  containerd.io docker-ce our-munge-watch
Remv docker-ce [5:28.0.1-1]
Remv containerd.io [1.7.29-1]
Remv our-munge-watch [1.0]
Inst libgpg-error0 (1.51-4 Debian:13.8/stable [amd64])
Inst libmunge2 (0.5.16-1.1~deb13u1 Debian:13.8/stable, Debian-Security:13/stable-security [amd64])
Inst munge (0.5.16-1.1~deb13u1 Debian:13.8/stable, Debian-Security:13/stable-security [amd64])
Inst runc (1.1.15+ds1-2+deb13u1 Debian-Security:13/stable-security [amd64])
Conf munge (0.5.16-1.1~deb13u1 Debian:13.8/stable, Debian-Security:13/stable-security [amd64])
"""
UPGRADE = """\
Inst libjansson4 [1.9] (2.14-2+b3 Debian:13.8/stable [amd64])
Inst libssl3t64 [3.5.1-1] (3.5.4-1 Debian:13.8/stable [amd64]) []
Inst libmariadb3 [1:12.0-1] (1:11.8.3-0 Debian:13.8/stable [amd64])
Conf libjansson4 (2.14-2+b3 Debian:13.8/stable [amd64])
"""
UNMET = """\
You might want to run 'apt --fix-broken install' to correct these.
The following packages have unmet dependencies:
 libmunge2-dev-team : Depends: libmunge-team (= 1) but it is not installable
 slurmd : Depends: libhwloc15 (>= 2.12.0) but it is not going to be installed
          Depends: munge but it is not going to be installed
E: Unmet dependencies. Try 'apt --fix-broken install' with no packages (or specify a solution).
E: The following information from --solver 3.0 may provide additional context:
   Unmet dependencies. Try 'apt --fix-broken install' with no packages (or specify a solution).
"""
PINNED = """\
Package munge is not available, but is referred to by another package.
This may mean that the package is missing, has been obsoleted, or
is only available from another source

E: Package 'munge' has no installation candidate
"""
HELD = """\
E: The following information from --solver 3.0 may provide additional context:
   Unable to satisfy dependencies. Reached two conflicting decisions:
   1. slurm-wlm-basic-plugins:amd64 is selected for install because:
"""


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Foreign:
    return foreign(tmp_path, monkeypatch)


@pytest.fixture
def apt(bare: Foreign) -> Foreign:
    """A host with package lists, whose dpkg compares versions by their first number."""
    host = bare
    host.put("/var/lib/apt/lists/deb_main_binary-amd64_Packages")

    def compare(command: tuple[str, ...]) -> tuple[int, str, str]:
        old, new = (
            float(version.rpartition(":")[2].split("-")[0].partition(".")[0])
            for version in (command[2], command[4])
        )
        return (0 if old > new else 1), "", ""

    host.answers["dpkg --compare-versions"] = compare
    return host


def found(host: Foreign, *wanted: str) -> list[tuple[str, str]]:
    fates, _ = packages.fates(wanted, packages.installed())
    return [(fate["name"], fate["fate"]) for fate in fates]


def test_any_package_that_apt_removes_is_named(apt: Foreign) -> None:
    apt.answers["apt-get --simulate"] = DOCKER
    removed = [("docker-ce", "removed"), ("containerd.io", "removed"), ("our-munge-watch", "removed")]
    assert found(apt, "containerd", "munge") == removed
    fates, refused = packages.fates(["munge"], {})
    assert fates[0]["old"] == "5:28.0.1-1"
    assert refused == ""


def test_only_another_major_version_is_worth_a_word(apt: Foreign) -> None:
    apt.answers["apt-get --simulate"] = UPGRADE
    assert found(apt, "slurmd") == [("libjansson4", "upgraded"), ("libmariadb3", "downgraded")]
    assert packages.major("1:10.11.4-1") != packages.major("1:11.8.3-0")
    assert packages.major("1:11.8.3-0") == packages.major("1:11.9-1+b2")
    assert packages.major("0.5.16-1") != packages.major("0.6-1")
    assert packages.major("2.1") != packages.major("1:2.1")


def test_what_is_there_is_not_asked_for_again(apt: Foreign) -> None:
    apt.packages = {"munge": "0.5", "libc6:i386": "2.41"}
    assert found(apt, "munge") == []
    assert not any(line.startswith("apt-get") for line in apt.asked)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (UNMET, "libmunge2-dev-team : Depends: libmunge-team (= 1) but it is not installable"),
        (PINNED, "Package 'munge' has no installation candidate"),
        ("E: Malformed entry 1 in list file /etc/apt/sources.list (Suite)\n", "Malformed entry 1"),
        ("Reading package lists...\napt-get did not end within 150 s\n", "did not end within 150 s"),
        ("", "wrote nothing"),
    ],
)
def test_a_refusal_has_apts_own_words(apt: Foreign, said: str, words: str) -> None:
    apt.answers["apt-get --simulate"] = (100, "", said)
    fates, refused = packages.fates(["munge"], {})
    assert fates == []
    assert words in refused
    assert "--solver" not in refused


def test_a_package_that_was_never_configured_is_named_where_apt_refuses(apt: Foreign) -> None:
    rows = "half-done\t1.0\tinstall\tunpacked\nlibc6\t2.41\tinstall\tinstalled\n"
    apt.answers["dpkg-query --show"] = rows
    apt.answers["apt-get --simulate"] = (100, "", UNMET)
    _, refused = packages.fates(["munge"], {})
    assert refused.endswith("half-done is unpacked.")
    assert "libc6" not in refused


def test_a_package_on_hold_is_named_whether_it_is_there_or_not(apt: Foreign) -> None:
    apt.answers["apt-mark showhold"] = "libjansson4\nmunge\n"
    apt.answers["apt-get --simulate --no-install-recommends --ignore-hold"] = UPGRADE
    apt.answers["apt-get --simulate"] = (100, "", HELD)
    assert found(apt, "munge", "slurmd") == [
        ("libjansson4", "held"),
        ("libmariadb3", "downgraded"),
        ("munge", "held"),
    ]


def test_an_installation_fetches_lists_through_the_proxy(bare: Foreign) -> None:
    claims = {"stages": [{**stage("base"), "packages": ["munge"]}], "proxy": "http://cache:3142"}
    assert survey.look(claims)["guessed"] is True
    assert not any("update" in line for line in bare.asked)

    def update(command: tuple[str, ...]) -> str:
        bare.put("/var/lib/apt/lists/deb_main_binary-amd64_Packages")
        return ""

    bare.answers["apt-get --quiet"] = update
    bare.answers["apt-get --simulate"] = DOCKER
    bare.answers["dpkg --compare"] = (1, "", "")
    found = survey.look({**claims, "fetch": True})
    assert (len(found["fates"]), found["guessed"]) == (3, False)
    assert any("Acquire::http::Proxy=http://cache:3142" in line and "update" in line for line in bare.asked)


def test_without_lists_what_packages_say_themselves_counts(bare: Foreign) -> None:
    bare.answers["dpkg-query"] = (
        "installed\tcontainerd.io\t1.7.29-1\tcontainerd, runc, \tlibc6 (>= 2.34)\n"
        "installed\tdocker-ce\t5:28\t, \tcontainerd.io (>= 1.7), iptables\n"
        "installed\tother\t1\t, \tcontainerd.io | runc\n"
        "config-files\told\t1\tmunge, \t\n"
        "installed\tlibc6:amd64\t2.41\t, munge (<< 0.5)\t\n"
        "installed\tours\t1\t, munge (>= 0.5)\t\n"
    )
    fates, refused = packages.fates(["containerd", "munge"], {})
    assert [fate["name"] for fate in fates] == ["containerd.io", "ours", "docker-ce"]
    assert refused == ""


def test_the_owner_of_a_unit_is_found_by_its_old_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = foreign(tmp_path, monkeypatch)
    host.answers["dpkg-query --search"] = (
        1,
        "docker-ce: /lib/systemd/system/docker.service\nmunge: /usr/lib/systemd/system/munge.service\n",
        "dpkg-query: no path found matching pattern",
    )
    assert packages.owners(
        ["/usr/lib/systemd/system/docker.service", "/usr/lib/systemd/system/munge.service"]
    ) == {
        "/usr/lib/systemd/system/docker.service": "docker-ce",
        "/usr/lib/systemd/system/munge.service": "munge",
    }
