"""Users and groups that a host had before, and a shared home that is not as it should be."""

from collections.abc import Iterator

from platformctl.lab.dirt.made import dirt, made
from platformctl.lab.lifecycle import Lab


@dirt
def administrator(lab: Lab, host: str, name: str, uid: int) -> Iterator[None]:
    """An administrator with a home of the host's own and groups that give rights."""
    make = (
        f"useradd --uid {uid} --create-home --home-dir /var/lib/{name} --shell /bin/sh {name}"
        f" && usermod --append --groups sudo,adm {name} && echo kept > /var/lib/{name}/notes"
    )
    with made(lab, host, make, f"userdel --remove {name} 2>/dev/null; true"):
        yield


@dirt
def process(lab: Lab, host: str, name: str) -> Iterator[None]:
    """A user of the host runs something."""
    unit = f"dirt-process-{name}"
    make = f"systemd-run --quiet --collect --unit={unit} --property=User={name} sleep infinity"
    with made(lab, host, make, f"systemctl stop {unit} 2>/dev/null || true"):
        yield


@dirt
def uid_taken(lab: Lab, host: str, uid: int) -> Iterator[None]:
    """Somebody else on the host has the number of a user of the site."""
    with made(lab, host, f"useradd --uid {uid} mallory", "userdel mallory"):
        yield


@dirt
def gid_taken(lab: Lab, host: str, gid: int) -> Iterator[None]:
    """Another group of the host has the number of a group of the site."""
    with made(lab, host, f"groupadd --gid {gid} chess", "groupdel chess"):
        yield


@dirt
def group_of_other_number(lab: Lab, host: str, name: str, gid: int) -> Iterator[None]:
    """A group of the site's name is there, with a number and a member of its own."""
    make = f"groupadd --gid {gid} {name} && useradd zelda && gpasswd --add zelda {name}"
    with made(lab, host, make, f"userdel zelda; groupdel {name} 2>/dev/null; true"):
        yield


@dirt
def slurm_of_other_number(lab: Lab, host: str, uid: int) -> Iterator[None]:
    """The user slurm has another number than the package would give it."""
    make = f"groupadd --gid {uid} slurm && useradd --uid {uid} --gid slurm --no-create-home slurm"
    with made(lab, host, make, "userdel slurm"):
        yield


@dirt
def home_away(lab: Lab, host: str) -> Iterator[None]:
    """Another file system covers the shared home: a container could not mount the right one again."""
    hide = (
        "mkdir -p /var/lib/dirt-home && mount --bind /var/lib/dirt-home /home"
        " && mount -o remount,bind,nosuid,nodev /home"
    )
    with made(lab, host, hide, "umount /home && rmdir /var/lib/dirt-home"):
        yield


@dirt
def home_with_options(lab: Lab, host: str, options: str) -> Iterator[None]:
    """The shared home is mounted with other options."""
    with made(
        lab, host, f"mount -o remount,bind,{options} /home", "mount -o remount,bind,rw,nosuid,nodev /home"
    ):
        yield
