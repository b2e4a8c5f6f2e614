"""A host is taken over as accepted, and given back as its record says."""

import errno
import json
import os
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.takeover import giving, record, rules, taking  # type: ignore[import-not-found]
from ansible.module_utils.takeover import host as host_module
from ansible.module_utils.takeover import host as paths

from tests.unit.roles.takeover.foreign import Foreign, foreign, stage
from tests.unit.roles.takeover.test_survey import CONTAINERD, KUBERNETES, MARIADB

DOCKER = [{"name": "docker-ce", "fate": "removed", "old": "5:28", "new": ""}]


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Foreign:
    host = foreign(tmp_path, monkeypatch)
    host.packages = {"bash": "5.2", "docker-ce": "5:28"}
    host.answers["apt-mark showmanual"] = "docker-ce\n"
    host.answers["dpkg-query --listfiles"] = "/usr/lib/systemd/system/docker.service\n"
    host.answers["apt-get"] = ""
    return host


def take(*accepted: str, fates: list[dict[str, Any]] | None = None, **things: Any) -> dict[str, Any]:
    answer: dict[str, Any] = taking.take(
        "lab", {"stages": [stage("s", **things)], "fates": fates or []}, accepted
    )
    return answer


def test_nothing_changes_while_one_thing_is_not_accepted(host: Foreign) -> None:
    host.put("/etc/kubernetes/kubelet.conf")
    answer = take("docker-ce", fates=DOCKER, kubernetes=KUBERNETES)
    assert answer["refused"] == ["/etc/kubernetes has data"]
    assert not host.has(record.FOLDER)
    assert not any("remove" in line for line in host.asked)


def test_what_apt_removes_is_recorded_before_with_its_services(host: Foreign) -> None:
    host.service("docker.service", package="docker-ce")
    assert take("docker-ce", fates=DOCKER)["refused"] == []
    known = record.read(record.PACKAGES)
    assert known["packages"]["docker-ce"] == {"version": "5:28", "auto": False}
    assert known["packages"]["bash"]["auto"] is True
    assert known["removed"] == {"docker-ce": "5:28"}
    assert record.read(record.SERVICES) == {"docker.service": {"active": True, "enabled": "enabled"}}
    assert any(line.startswith("apt-get") and line.endswith("remove docker-ce") for line in host.asked)


def test_leftovers_move_aside_and_come_back(host: Foreign) -> None:
    host.put("/etc/kubernetes/pki/ca.crt", "their authority")
    host.put("/etc/crictl.yaml", "their file")
    host.put("/etc/systemd/system/kubelet.service.d/10-kubeadm.conf", "[Service]\nExecStart=\n")
    host.service("kubelet.service")
    take("kubernetes", kubernetes=KUBERNETES)
    assert not host.has("/etc/kubernetes")
    assert not host.has("/etc/crictl.yaml")
    assert host.services["kubelet.service"]["ActiveState"] == "inactive"
    dropped = host.root / "etc/systemd/system/kubelet.service.d/10-kubeadm.conf"
    assert str(dropped.readlink()) == "/dev/null"
    # The installation works here, and its roles remove what they made.
    host.put("/etc/kubernetes/ours").unlink()
    answer = giving.restore(forget=False)
    assert answer["left"] == []
    assert (host.root / "etc/kubernetes/pki/ca.crt").read_text() == "their authority"
    assert (host.root / "etc/crictl.yaml").read_text() == "their file"
    assert "ExecStart" in dropped.read_text()
    assert host.services["kubelet.service"]["ActiveState"] == "active"
    assert host.services["kubelet.service"]["UnitFileState"] == "enabled"
    assert not host.has(f"{record.BEFORE}/{record.LEFT}")


def test_a_mount_point_keeps_its_data_inside(host: Foreign, monkeypatch: pytest.MonkeyPatch) -> None:
    host.put("/var/lib/etcd/member/db", "data")
    monkeypatch.setattr("os.path.ismount", lambda path: str(path).endswith("/var/lib/etcd"))
    take("kubernetes", kubernetes=KUBERNETES)
    assert host.has("/var/lib/etcd/.before-platformctl/member/db")
    assert not host.has("/var/lib/etcd/member")
    giving.restore(forget=False)
    assert (host.root / "var/lib/etcd/member/db").read_text() == "data"
    assert not host.has("/var/lib/etcd/.before-platformctl")


def test_a_folder_that_became_a_mount_point_is_filled_again(
    host: Foreign, monkeypatch: pytest.MonkeyPatch
) -> None:
    host.put("/etc/kubernetes/kubelet.conf", "theirs")
    take("kubernetes", kubernetes=KUBERNETES)
    folder = paths.at("/etc/kubernetes")
    (folder / "manifests").mkdir(parents=True)
    monkeypatch.setattr(os.path, "ismount", lambda place: str(place) == str(folder))
    assert giving.restore(forget=False)["left"] == []
    assert (folder / "kubelet.conf").read_text() == "theirs"
    assert [entry.name for entry in folder.iterdir()] == ["kubelet.conf"]


def test_what_cannot_be_moved_back_is_named(host: Foreign, monkeypatch: pytest.MonkeyPatch) -> None:
    host.put("/etc/kubernetes/kubelet.conf", "theirs")
    take("kubernetes", kubernetes=KUBERNETES)
    paths.at("/etc/kubernetes").mkdir(parents=True)

    def busy(place: Path) -> None:
        raise OSError(errno.EBUSY, "Device or resource busy", place)

    monkeypatch.setattr(Path, "rmdir", busy)
    (left,) = giving.restore(forget=False)["left"]
    assert left.startswith("/etc/kubernetes could not be moved back (Device or resource busy)")


def test_a_record_is_written_once(host: Foreign) -> None:
    host.service("containerd.service")
    take("containerd", containerd=CONTAINERD)
    host.packages["ours"] = "1"
    host.services["containerd.service"]["ActiveState"] = "inactive"
    take("containerd", containerd=CONTAINERD)
    assert "ours" not in record.read(record.PACKAGES)["packages"]
    assert record.read(record.SERVICES)["containerd.service"]["active"] is True


def test_a_containerd_of_others_runs_on_through_reset(host: Foreign) -> None:
    host.service("containerd.service")
    host.put("/var/lib/containerd/db")
    take("containerd", containerd=CONTAINERD)
    assert record.read(record.TAKEOVER)["stays"] == ["/var/lib/containerd"]
    assert giving.stop(["containerd.service"]) == []
    giving.restore(forget=False)
    assert "systemctl restart containerd.service" in host.asked
    assert not any(line.startswith(("systemctl stop", "systemctl disable")) for line in host.asked)


def test_a_database_of_others_is_never_touched(host: Foreign) -> None:
    host.service("mariadb.service")
    host.answers["mariadb"] = "d shop\n"
    take(mariadb=MARIADB)
    assert record.read(record.TAKEOVER)["beside"] == ["mariadb"]
    giving.stop(["mariadb.service"])
    giving.restore(forget=False)
    asked = [line for line in host.asked if line.startswith("systemctl") and "mariadb.service" in line]
    assert [line for line in asked if "show" not in line] == []


def test_a_service_of_ours_stops_for_good(host: Foreign) -> None:
    take(containerd=CONTAINERD)
    host.service("containerd.service")
    assert giving.stop(["containerd.service", "missing.service"]) == ["stopped containerd.service"]
    assert host.services["containerd.service"]["UnitFileState"] == "disabled"


def test_what_apt_no_longer_has_is_named_and_tried_again(host: Foreign) -> None:
    take("docker-ce", fates=DOCKER, kubernetes=KUBERNETES)
    del host.packages["docker-ce"]
    host.answers["apt-get"] = (100, "", "E: Version '5:28' for 'docker-ce' was not found")
    assert giving.restore(forget=False)["left"] == ["apt no longer has docker-ce 5:28: install it by hand"]
    assert host.has(f"{record.BEFORE}/{record.LEFT}")
    # Nothing of the former takeover counts for the next one.
    host.put("/etc/kubernetes/kubelet.conf")
    assert take(kubernetes=KUBERNETES)["refused"]
    host.packages["docker-ce"] = "5:28"
    assert giving.restore(forget=False)["left"] == []
    assert not host.has(f"{record.BEFORE}/{record.LEFT}")


def test_the_record_is_for_root_alone(host: Foreign) -> None:
    take(containerd=CONTAINERD)
    folder = host.root / record.BEFORE.lstrip("/")
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}
    assert json.loads((folder / record.TAKEOVER).read_text())["accepted"] == []


def test_rules_of_an_earlier_cluster_go_and_others_stay(host: Foreign) -> None:
    mine = "-A PREROUTING -j LOG\n"
    saved = f"*nat\n:KUBE-SERVICES - [0:0]\n-A PREROUTING -j KUBE-SERVICES\n{mine}COMMIT\n"
    host.answers["iptables-save"] = saved
    host.answers["nft list tables"] = "table inet theirs\ntable ip kube-proxy\n"
    host.answers["iptables-restore"] = ""
    assert take(kubernetes={"rules": ["kubernetes"]})["refused"] == [
        "rules of an earlier cluster are in force (nft table ip kube-proxy, chains of iptables)"
    ]
    take("kubernetes", kubernetes={"rules": ["kubernetes"]})
    assert "nft delete table ip kube-proxy" in host.asked
    assert "KUBE-SERVICES" in (host.root / record.BEFORE.lstrip("/") / "rules").read_text()
    given = host.given["iptables-restore"]
    assert "KUBE" not in given
    assert mine in given
    # What a kubelet alone leaves is nobody's: ours leaves it, too.
    host.answers["iptables-save"] = "*nat\n:KUBE-KUBELET-CANARY - [0:0]\nCOMMIT\n"
    host.answers["nft list tables"] = ""
    assert rules.found() == []


def test_a_folder_that_is_mounted_on_itself_is_a_mount_point(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "var lib" / "kubelet"
    folder.mkdir(parents=True)
    assert not host_module.mounted(folder)
    assert host_module.mounted(Path("/proc"))
    row = "31 29 254:0 /x {} rw shared:1 - ext4 /dev/vda rw\n"
    rows = row.format("/elsewhere") + row.format(folder)
    monkeypatch.setattr(Path, "read_text", lambda *_, **__: rows.replace("var lib", "var\\040lib"))
    assert host_module.mounted(folder)
