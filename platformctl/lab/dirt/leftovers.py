"""What an earlier installation of something else has left on a host."""

from collections.abc import Iterator

from platformctl.lab.dirt.made import dirt, files, made
from platformctl.lab.lifecycle import Lab

KUBEADM = {
    "/etc/kubernetes/kubelet.conf": "apiVersion: v1\nkind: Config\n",
    "/etc/kubernetes/bootstrap-kubelet.conf": "apiVersion: v1\nkind: Config\n",
    "/var/lib/kubelet/config.yaml": "kind: KubeletConfiguration\n",
}


@dirt
def kubeadm_leftovers(lab: Lab, host: str) -> Iterator[None]:
    """The files of a node that somebody joined to another cluster with kubeadm."""
    with files(lab, host, KUBEADM):
        yield


@dirt
def etcd_leftovers(lab: Lab, host: str) -> Iterator[None]:
    """The data of an etcd that ran here."""
    with made(
        lab,
        host,
        "mkdir -p /var/lib/etcd/member/wal && echo data > /var/lib/etcd/member/wal/0.wal",
        "rm -rf /var/lib/etcd/member; rmdir /var/lib/etcd 2>/dev/null || true",
    ):
        yield


@dirt
def etcd_disk(lab: Lab, host: str) -> Iterator[None]:
    """A disk of its own for etcd, as etcd's authors advise, with the data of an etcd that ran here."""
    with made(
        lab,
        host,
        "mkdir -p /var/lib/etcd && mount -t tmpfs -o mode=700 disk /var/lib/etcd && cd /var/lib/etcd &&"
        " mkdir -p lost+found member/wal && echo data > member/wal/0.wal && chown -R 1234:1234 member",
        "umount /var/lib/etcd; rmdir /var/lib/etcd 2>/dev/null || true",
    ):
        yield


@dirt
def slurm_leftovers(lab: Lab, host: str) -> Iterator[None]:
    """The configuration of an earlier Slurm."""
    with files(lab, host, {"/etc/slurm/slurm.conf": "ClusterName=old\nSlurmctldHost=old1\n"}):
        yield


@dirt
def other_site(lab: Lab, host: str, name: str = "elsewhere") -> Iterator[None]:
    """The host belongs to another site of platformctl."""
    with files(lab, host, {"/var/lib/platformctl/managed": f"{name}\n"}):
        yield
