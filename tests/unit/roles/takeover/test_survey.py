"""What of others is found on a host, by the claims of its stages."""

from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.takeover import record, survey, units  # type: ignore[import-not-found]

from tests.unit.roles.takeover.foreign import Foreign, foreign, stage

CONTAINERD = {
    "fate": "kept",
    "services": ["containerd.service"],
    "files": ["/etc/containerd/config.toml"],
    "directories": ["/var/lib/containerd"],
    "containers": True,
}
KUBERNETES = {
    "services": ["kubelet.service"],
    "directories": ["/etc/kubernetes", "/var/lib/etcd"],
    "files": ["/etc/crictl.yaml"],
    "programs": ["/usr/local/bin/kubectl"],
    "processes": ["k3s-server"],
    "links": ["cni0"],
}
MUNGE = {"fate": "kept", "services": ["munge.service"], "files_in_use": ["/etc/munge/munge.key"]}
MARIADB = {
    "fate": "beside",
    "services": ["mariadb.service"],
    "directories": ["/var/lib/mysql"],
    "database": {"name": "slurm_acct_db", "account": "slurm", "password": "geheim"},
}


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Foreign:
    return foreign(tmp_path, monkeypatch)


def look(*stages: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = survey.look({"stages": stages, "fates": []})["findings"]
    return found


def test_a_clean_host_has_nothing(host: Foreign) -> None:
    assert look(stage("containerd", containerd=CONTAINERD), stage("node", kubernetes=KUBERNETES)) == []


def test_a_containerd_with_its_containers_is_named_and_kept(host: Foreign) -> None:
    host.service("containerd.service", package="containerd.io")
    host.put("/var/lib/containerd/db")
    host.answers["ctr --connect-timeout"] = "default\nmoby\n"
    host.answers["ctr --namespace default tasks"] = "web\n"
    host.answers["ctr --namespace moby tasks"] = "abc\n"
    host.answers["docker ps"] = "abc\n"
    (found,) = look(stage("containerd", containerd=CONTAINERD))
    assert (found["name"], found["fate"], found["names"]) == (
        "containerd",
        "kept",
        ["containerd", "containerd.io"],
    )
    told = "; ".join(found["found"])
    assert "containerd.service runs" in told
    assert "/var/lib/containerd has data" in told
    assert "1 running container in namespace default" in told
    assert "1 running container of Docker" in told
    assert found["paths"] == []


def test_leftovers_of_a_cluster_are_one_thing(host: Foreign) -> None:
    host.put("/etc/kubernetes/kubelet.conf")
    host.put("/var/lib/etcd/member/wal/0.wal")
    host.put("/usr/local/bin/kubectl")
    host.put("/sys/class/net/cni0/address")
    (found,) = look(stage("node", kubernetes=KUBERNETES))
    assert (found["name"], found["fate"], found["links"]) == ("kubernetes", "stopped", ["cni0"])
    assert set(found["paths"]) == {"/etc/kubernetes", "/var/lib/etcd", "/usr/local/bin/kubectl"}


def test_empty_folders_are_nobodys(host: Foreign) -> None:
    (host.root / "etc/kubernetes/pki").mkdir(parents=True)
    assert look(stage("node", kubernetes=KUBERNETES)) == []


def test_a_program_is_found_by_its_service(host: Foreign) -> None:
    host.put("/proc/12/comm", "k3s-server\n")
    host.put("/proc/12/cgroup", "0::/system.slice/k3s.service\n")
    (found,) = look(stage("node", kubernetes=KUBERNETES))
    assert found["units"] == ["k3s.service"]
    assert "k3s-server runs (k3s.service)" in found["found"]


def test_drop_ins_count_when_they_change_what_runs(host: Foreign) -> None:
    host.put("/etc/systemd/system/kubelet.service.d/10-kubeadm.conf", "[Service]\nExecStart=\n")
    host.put("/usr/lib/systemd/system/kubelet.service.d/limits.conf", "[Service]\nLimitNOFILE=1\n")
    host.put("/etc/systemd/system/kubelet.service.d/platformctl.conf", "[Service]\nExecStart=\n")
    (found,) = look(stage("node", kubernetes=KUBERNETES))
    assert found["masks"] == ["/etc/systemd/system/kubelet.service.d/10-kubeadm.conf"]
    assert "limits.conf" in found["notes"][0]


def test_a_masked_unit_and_one_of_others_are_found(host: Foreign) -> None:
    unit = host.put("/etc/systemd/system/kubelet.service", "[Service]\nExecStart=/usr/bin/theirs\n")
    assert look(stage("node", kubernetes=KUBERNETES))[0]["paths"] == ["/etc/systemd/system/kubelet.service"]
    unit.unlink()
    unit.symlink_to("/dev/null")
    assert look(stage("node", kubernetes=KUBERNETES))[0]["paths"] == ["/etc/systemd/system/kubelet.service"]


def test_a_key_counts_only_where_somebody_uses_it(host: Foreign) -> None:
    host.put("/etc/munge/munge.key")
    host.service("munge.service", "inactive", "disabled")
    assert look(stage("munge", munge=MUNGE)) == []
    host.service("munge.service", "active", "disabled")
    (found,) = look(stage("munge", munge=MUNGE))
    assert found["found"] == ["munge.service runs", "/etc/munge/munge.key would be overwritten"]


def test_a_file_as_its_package_brought_it_is_nobodys(host: Foreign) -> None:
    host.put("/etc/containerd/config.toml", "version = 2\n")
    host.answers["dpkg-query --show --showformat ${Conffiles}"] = (
        " /etc/containerd/config.toml fe49f01c4a40e0f6d2e3f1e8a4cbd0a7\n"
    )
    assert len(look(stage("containerd", containerd=CONTAINERD))) == 1
    import hashlib

    digest = hashlib.md5(b"version = 2\n", usedforsecurity=False).hexdigest()
    host.answers["dpkg-query --show --showformat ${Conffiles}"] = f" /etc/containerd/config.toml {digest}\n"
    assert look(stage("containerd", containerd=CONTAINERD)) == []


def test_a_stage_that_was_begun_is_ours_and_so_is_what_it_shares(host: Foreign) -> None:
    host.put("/etc/kubernetes/kubelet.conf")
    host.put("/etc/munge/munge.key")
    host.service("munge.service")
    host.put(f"{record.FOLDER}/digests.json", '{"kubernetes_control_plane": {"begun": "x"}}')
    stages = [stage(name, kubernetes=KUBERNETES) for name in ("kubernetes_control_plane", "kubernetes_node")]
    assert [found["name"] for found in look(*stages, stage("munge", munge=MUNGE))] == ["munge"]


def test_what_was_judged_once_is_settled(host: Foreign) -> None:
    host.put("/etc/kubernetes/kubelet.conf")
    record.write(
        record.TAKEOVER, {"settled": ["/etc/kubernetes", "munge.service"], "accepted": ["kubernetes"]}
    )
    found = survey.look({"stages": [stage("node", kubernetes=KUBERNETES)], "fates": []})
    assert (found["findings"], found["accepted"]) == ([], ["kubernetes"])


def test_a_database_of_others_is_used_beside_them(host: Foreign) -> None:
    host.service("mariadb.service")
    host.put("/var/lib/mysql/shop/db.opt")
    host.answers["mariadb"] = "d mysql\nd information_schema\nd shop\na root\n"
    (found,) = look(stage("slurm_accounting", mariadb=MARIADB))
    assert (found["fate"], found["found"]) == ("beside", [])
    assert "used beside them (shop)" in found["notes"][0]


def test_what_is_ours_by_name_only_needs_a_yes(host: Foreign) -> None:
    host.service("mariadb.service")
    host.answers["mariadb"] = "d slurm_acct_db\na slurm\n"
    (found,) = look(stage("slurm_accounting", mariadb=MARIADB))
    assert found["found"] == ["database slurm_acct_db and account slurm would be used and changed"]
    assert found["ours"] == ["database slurm_acct_db", "account slurm"]


def test_a_root_that_needs_a_password_is_said(host: Foreign) -> None:
    host.service("mariadb.service")
    host.answers["mariadb"] = (1, "", "ERROR 1698 (28000): Access denied for user 'root'@'localhost'")
    (found,) = look(stage("slurm_accounting", mariadb=MARIADB))
    assert "Access denied" in found["denied"]


def test_data_without_its_server_is_in_the_way(host: Foreign) -> None:
    host.put("/var/lib/mysql/ibdata1")
    (found,) = look(stage("slurm_accounting", mariadb=MARIADB))
    assert (found["fate"], found["paths"]) == ("stopped", ["/var/lib/mysql"])
    # After a reset of ours the server is there, idle, with nothing of anybody's.
    host.service("mariadb.service", "inactive", "disabled")
    assert look(stage("slurm_accounting", mariadb=MARIADB)) == []


def test_who_has_a_port_is_named_once(host: Foreign, monkeypatch: pytest.MonkeyPatch) -> None:
    owners = {
        6820: {"program": "nginx", "unit": "nginx.service"},
        6443: {"program": "python3", "unit": ""},
        22: {"program": "sshd", "unit": "ssh.service"},
    }
    monkeypatch.setattr(units, "port_owners", lambda: owners)
    host.service("nginx.service", package="nginx-light")
    (found,) = look(stage("slurm_rest", ports=[6820, 6443]))
    assert (found["names"], found["ports"]) == (["nginx", "nginx-light"], [6820])
    assert "TCP port 6820 is in use by nginx.service (nginx)" in found["found"]
    host.put(f"{record.FOLDER}/digests.json", '{"slurm_rest": {"begun": "x"}}')
    assert look(stage("slurm_rest", ports=[6820])) == []


@pytest.mark.parametrize("damaged", ['{"slurm_rest": {"beg', "[]", "7"])
def test_on_a_host_whose_record_is_damaged_all_may_be_ours(host: Foreign, damaged: str) -> None:
    host.put("/etc/munge/munge.key")
    host.service("munge.service")
    host.put(f"{record.FOLDER}/digests.json", damaged)
    assert look(stage("munge", munge=MUNGE)) == []
