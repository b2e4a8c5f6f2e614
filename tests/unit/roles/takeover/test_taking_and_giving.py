"""A host is taken over as accepted, and given back as its record says."""

import errno
import json
import os
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.takeover import giving, moving, record, rules, taking  # type: ignore[import-not-found]
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


@pytest.fixture
def etcd_disk(host: Foreign, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A mount point with data; what is moved out of it is copied."""
    host.put("/var/lib/etcd/member/db", "data")
    (host.root / "var/lib/etcd/lost+found").mkdir()
    monkeypatch.setattr("os.path.ismount", lambda path: str(path).endswith("/var/lib/etcd"))
    host.real.update({"cp", "sync"})
    return host.root / "var/lib/etcd"


def test_data_of_a_mount_point_leaves_it_and_comes_back(host: Foreign, etcd_disk: Path) -> None:
    assert take("kubernetes", kubernetes=KUBERNETES)["refused"] == []
    assert [entry.name for entry in etcd_disk.iterdir()] == ["lost+found"]
    assert host.has(f"{record.BEFORE}/moved/var/lib/etcd/member/db")
    assert giving.restore(forget=False)["left"] == []
    assert (etcd_disk / "member/db").read_text() == "data"
    assert sorted(entry.name for entry in etcd_disk.iterdir()) == ["lost+found", "member"]
    assert not host.has(f"{record.BEFORE}/moved/var/lib/etcd")


def test_a_mount_point_without_room_for_its_data_is_refused(
    host: Foreign, etcd_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(moving, "_free", lambda: 1 << 30)
    (refused,) = take("kubernetes", kubernetes=KUBERNETES)["refused"]
    assert refused == (
        "/var/lib/etcd is a mount point with 0.0 GiB of data, "
        "and /var/lib/platformctl has 1.0 GiB free for it"
    )
    assert (etcd_disk / "member/db").exists()


def test_a_mount_point_with_mounts_below_is_refused(
    host: Foreign, etcd_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host_module, "_mount_points", lambda: {f"{etcd_disk}/member"})
    (refused,) = take("kubernetes", kubernetes=KUBERNETES)["refused"]
    assert refused == f"/var/lib/etcd is a mount point, and {etcd_disk}/member is mounted below it"


def test_a_copy_that_fails_leaves_all_where_it_was(host: Foreign, etcd_disk: Path) -> None:
    host.real.discard("cp")
    with pytest.raises(RuntimeError, match="could not be copied"):
        take("kubernetes", kubernetes=KUBERNETES)
    host.real.add("cp")
    # The next run goes on, without being asked again.
    assert take(kubernetes=KUBERNETES)["refused"] == []
    assert giving.restore(forget=False)["left"] == []
    assert (etcd_disk / "member/db").read_text() == "data"


def test_after_a_copy_that_failed_a_reset_loses_nothing(host: Foreign, etcd_disk: Path) -> None:
    host.real.discard("cp")
    with pytest.raises(RuntimeError, match="could not be copied"):
        take("kubernetes", kubernetes=KUBERNETES)
    assert (etcd_disk / "member/db").read_text() == "data"
    assert giving.restore()["left"] == []
    assert (etcd_disk / "member/db").read_text() == "data"
    assert sorted(entry.name for entry in etcd_disk.iterdir()) == ["lost+found", "member"]


@pytest.mark.parametrize("step", ["_copy", "drop_staged"])
def test_after_a_kill_a_reset_loses_nothing(
    host: Foreign, etcd_disk: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(moving, step, killed)
        with pytest.raises(KeyboardInterrupt):
            take("kubernetes", kubernetes=KUBERNETES)
    assert giving.restore()["left"] == []
    assert (etcd_disk / "member/db").read_text() == "data"
    assert sorted(entry.name for entry in etcd_disk.iterdir()) == ["lost+found", "member"]


def test_a_return_that_was_broken_off_goes_on(
    host: Foreign, etcd_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host.put("/var/lib/etcd/other/db", "more")
    take("kubernetes", kubernetes=KUBERNETES)
    move, moved = moving.move, []

    def killed(source: Path, target: Path) -> None:
        if moved:
            raise KeyboardInterrupt
        moved.append(source)
        move(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(moving, "move", killed)
        with pytest.raises(KeyboardInterrupt):
            giving.restore(forget=False)
    assert giving.restore()["left"] == []
    assert (etcd_disk / "member/db").read_text() == "data"
    assert (etcd_disk / "other/db").read_text() == "more"


def test_room_is_counted_for_all_mount_points_together(
    host: Foreign, etcd_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host.put("/etc/kubernetes/pki/ca.crt")
    monkeypatch.setattr("os.path.ismount", lambda path: str(path).endswith(("/var/lib/etcd", "kubernetes")))
    monkeypatch.setattr(moving, "_used", lambda _place: 2 << 30)
    monkeypatch.setattr(moving, "_free", lambda: 4 << 30)
    (refused,) = take("kubernetes", kubernetes=KUBERNETES)["refused"]
    assert "has 2.0 GiB free for it" in refused


def test_two_runs_do_not_take_one_host_at_the_same_time(host: Foreign) -> None:
    with host_module.alone("takeover"):
        with pytest.raises(RuntimeError, match="an earlier run is still at it"):
            take()
        with pytest.raises(RuntimeError, match="an earlier run is still at it"):
            giving.restore()


def test_what_came_back_after_a_takeover_is_not_left_for_the_installation(host: Foreign) -> None:
    host.put("/etc/kubernetes/kubelet.conf", "theirs")
    take("kubernetes", kubernetes=KUBERNETES)
    host.put("/etc/kubernetes/kubelet.conf", "theirs again")
    with pytest.raises(RuntimeError, match="/etc/kubernetes is there again"):
        taking._move("/etc/kubernetes", "/etc/kubernetes.before-platformctl")


def test_what_has_returned_is_known_to_the_next_reset(host: Foreign) -> None:
    host.put("/etc/kubernetes/kubelet.conf", "theirs")
    take("kubernetes", kubernetes=KUBERNETES)
    giving.restore(forget=False)
    assert record.read(record.TAKEOVER)["returned"] == ["/etc/kubernetes"]


def test_files_keep_their_modes_between_file_systems(host: Foreign, monkeypatch: pytest.MonkeyPatch) -> None:
    path = host.put("/etc/crictl.yaml", "their file")
    path.chmod(0o640)
    host.real.update({"cp", "sync"})
    rename = Path.rename

    def crosses(source: Path, target: Path) -> Path:
        if source.parent != Path(target).parent:
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        return rename(source, target)

    monkeypatch.setattr(Path, "rename", crosses)
    take("kubernetes", kubernetes=KUBERNETES)
    assert not path.exists()
    assert giving.restore(forget=False)["left"] == []
    assert path.read_text() == "their file"
    assert path.stat().st_mode & 0o777 == 0o640


def test_a_takeover_that_was_killed_goes_on(host: Foreign, monkeypatch: pytest.MonkeyPatch) -> None:
    host.put("/etc/kubernetes/pki/ca.crt", "their authority")
    host.put("/var/lib/etcd/member/db", "theirs")
    move = taking._move

    def killed(path: str, aside: str) -> bool:
        if path == "/var/lib/etcd":
            raise KeyboardInterrupt
        return bool(move(path, aside))

    monkeypatch.setattr(taking, "_move", killed)
    with pytest.raises(KeyboardInterrupt):
        take("kubernetes", kubernetes=KUBERNETES)
    monkeypatch.setattr(taking, "_move", move)
    # --yes NAME was said once, for the run that was killed.
    assert take(kubernetes=KUBERNETES)["refused"] == []
    assert not host.has("/var/lib/etcd")
    assert giving.restore(forget=False)["left"] == []
    assert (host.root / "var/lib/etcd/member/db").read_text() == "theirs"
    assert (host.root / "etc/kubernetes/pki/ca.crt").read_text() == "their authority"


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
