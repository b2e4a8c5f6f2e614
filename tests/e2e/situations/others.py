"""What other teams run on the hosts, and what an installation would take from them."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from platformctl.lab.dirt import inventories, leftovers, others
from tests.e2e.situations.situation import Place, Result, Situation, When

_SHOP = (
    "mariadb --host=127.0.0.1 --user=app --password=app --skip-column-names"
    " --execute='SELECT id FROM shop.orders'"
)


_THEIR_KEY = "the key of another cluster " * 40


def _shop_is_served(place: Place) -> None:
    """The shop's data is there, and its client was never cut off."""
    for command in (_SHOP, "systemctl is-active shop-client"):
        done = place.lab.exec("ctl1", ["sh", "-c", command])
        assert done.returncode == 0, done.stdout + done.stderr


def _container_runs(place: Place) -> None:
    done = place.lab.exec("node1", ["sh", "-c", "ctr tasks list | grep theirs"])
    assert "RUNNING" in done.stdout, done.stdout + done.stderr


def _own_settings(place: Place) -> None:
    """Containerd has its owner's settings again, and the container runs."""
    assert "their own" in place.site.host("ctl1", "cat", "/etc/containerd/config.toml")
    _container_of_control_plane_runs(place)


def _container_of_control_plane_runs(place: Place) -> None:
    assert "RUNNING" in place.site.shell("ctl1", "ctr tasks list | grep theirs")


def _own_key(place: Place) -> None:
    assert place.site.host("node2", "cat", "/etc/munge/munge.key") == _THEIR_KEY
    assert place.site.host("node2", "systemctl", "is-enabled", "munge") == "enabled\n"


def _own_kubeadm_files(place: Place) -> None:
    for path in leftovers.KUBEADM:
        place.site.host("node1", "test", "-e", path)


def _own_etcd_data(place: Place) -> None:
    found = place.site.shell(
        "ctl1", "cd /var/lib/etcd && mountpoint -q . && stat -c %u:%g member && cat member/wal/*"
    )
    assert found == "1234:1234\ndata\n"


@contextmanager
def _accepted(place: Place, name: str, dirt: AbstractContextManager[object]) -> Iterator[None]:
    """The dirt, and the inventory says that it may be taken over."""
    with dirt, inventories.added(place.lab, "takeover", [name]):
        yield


SITUATIONS = (
    Situation(
        "somebody runs a container with containerd, which may be taken over",
        When.FRESH,
        Result.NAMED,
        lambda place: _accepted(place, "containerd", others.container(place.lab, "ctl1")),
        ("containerd is there",),
        kept=_container_of_control_plane_runs,
        restored=_own_settings,
    ),
    Situation(
        "munge runs with a key of another cluster, and may be taken over",
        When.FRESH,
        Result.NAMED,
        lambda place: _accepted(place, "munge", others.munge(place.lab, "node2", _THEIR_KEY)),
        ("munge is there",),
        restored=_own_key,
    ),
    Situation(
        "a worker has the files of another cluster's kubeadm, which may be taken over",
        When.FRESH,
        Result.NAMED,
        lambda place: _accepted(place, "kubernetes", leftovers.kubeadm_leftovers(place.lab, "node1")),
        ("kubernetes is there",),
        restored=_own_kubeadm_files,
    ),
    Situation(
        "etcd has a disk of its own with somebody's data, which may be taken over",
        When.FRESH,
        Result.NAMED,
        lambda place: _accepted(place, "kubernetes", leftovers.etcd_disk(place.lab, "ctl1")),
        ("/var/lib/etcd has data",),
        restored=_own_etcd_data,
    ),
    Situation(
        "Docker from its publisher runs on a worker",
        When.BARE,
        Result.REFUSED,
        lambda place: others.docker(place.lab, "node1"),
        ("node1", "apt would remove containerd.io", "apt would remove docker-ce", "--yes docker"),
        quick=True,
    ),
    Situation(
        "Docker from its publisher runs on a worker, and install is asked with --yes",
        When.BARE,
        Result.REFUSED,
        lambda place: others.docker(place.lab, "node1"),
        ("node1", "apt would remove docker-ce"),
        command=("install", "--yes"),
        code=3,
    ),
    Situation(
        "a package of a team cannot be beside munge",
        When.BARE,
        Result.REFUSED,
        lambda place: others.unwilling_package(place.lab, "node2", "team-agent", "munge"),
        ("node2", "apt would remove team-agent"),
        quick=True,
    ),
    Situation(
        "somebody runs a container with containerd",
        When.BARE,
        Result.REFUSED,
        lambda place: others.container(place.lab, "node1"),
        ("node1", "containerd is there", "1 running container in namespace default"),
        kept=_container_runs,
    ),
    Situation(
        "a database of another team runs on the accounting host, and its root needs a password",
        When.BARE,
        Result.REFUSED,
        lambda place: others.database(place.lab, "ctl1", "geheim"),
        ("ctl1", "access denied", "slurm_accounting_database_root_password"),
        kept=_shop_is_served,
    ),
    Situation(
        "a database of another team runs on the accounting host",
        When.FRESH,
        Result.NAMED,
        lambda place: others.database(place.lab, "ctl1"),
        kept=_shop_is_served,
        restored=_shop_is_served,
    ),
    Situation(
        "munge runs with a key of another cluster",
        When.BARE,
        Result.REFUSED,
        lambda place: others.service(place.lab, "node2", "munge", {"/etc/munge/munge.key": "their key\n"}),
        ("node2", "munge is there", "/etc/munge/munge.key would be overwritten"),
        quick=True,
    ),
    Situation(
        "a slurmd that somebody built runs on a Slurm host",
        When.BARE,
        Result.REFUSED,
        lambda place: others.service(place.lab, "node2", "slurmd", {"/usr/local/bin/srun": "#!/bin/sh\n"}),
        ("node2", "slurm is there", "slurmd.service runs", "/usr/local/bin/srun"),
        quick=True,
    ),
    Situation(
        "a drop-in of somebody else changes what the kubelet runs",
        When.BARE,
        Result.REFUSED,
        lambda place: others.drop_in(
            place.lab, "node1", "kubelet.service", "[Service]\nExecStart=\nExecStart=/usr/bin/kubelet\n"
        ),
        ("node1", "kubernetes is there", "10-theirs.conf changes what kubelet.service runs"),
        quick=True,
    ),
    Situation(
        "a worker has the data of an etcd",
        When.BARE,
        Result.REFUSED,
        lambda place: leftovers.etcd_leftovers(place.lab, "node1"),
        ("node1", "/var/lib/etcd has data"),
        quick=True,
    ),
)
