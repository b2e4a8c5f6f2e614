"""What other teams run on a host: packages, services, containers, databases."""

import shlex
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from platformctl.lab.dirt.made import dirt, files, made, proxied, root
from platformctl.lab.lifecycle import Lab

# A package is made on the host itself: its control file and, if it brings a service, a unit that sleeps.
_PACKAGE = r"""
set -eu
name=$1; version=$2; unit=$3; how=$4; folder=$(mktemp --directory)
chmod 755 "$folder"
mkdir -p "$folder/DEBIAN" "$folder/usr/lib/systemd/system"
{ printf 'Package: %s\nVersion: %s\nArchitecture: all\n' "$name" "$version"
  printf 'Maintainer: dirt <dirt@example.com>\nDescription: dirt\n'
  cat
} > "$folder/DEBIAN/control"
if [ -n "$unit" ]; then
  printf '[Service]\nExecStart=/usr/bin/sleep infinity\n' > "$folder/usr/lib/systemd/system/$unit.service"
  printf '[Install]\nWantedBy=multi-user.target\n' >> "$folder/usr/lib/systemd/system/$unit.service"
fi
dpkg-deb --build "$folder" "/run/$name.deb" > /dev/null
dpkg "$how" --force-depends "/run/$name.deb" > /dev/null 2>&1
rm -rf "$folder" "/run/$name.deb"
[ -z "$unit" ] || { systemctl daemon-reload; systemctl enable --quiet --now "$unit"; }
"""
# It may have been removed meanwhile.
_PURGE = 'dpkg --purge --force-all "$1" > /dev/null 2>&1 || true'
_SERVICE = "[Service]\nExecStart=/usr/bin/sleep infinity\n[Install]\nWantedBy=multi-user.target\n"
_DATABASE = """
set -eu
apt-get --quiet --quiet update
apt-get --quiet --quiet --assume-yes --no-install-recommends install mariadb-server > /dev/null
printf '[mysqld]\\nbind-address = 0.0.0.0\\n' > /etc/mysql/mariadb.conf.d/99-shop.cnf
systemctl restart mariadb
mariadb <<'END'
CREATE DATABASE shop; CREATE TABLE shop.orders (id INT); INSERT INTO shop.orders VALUES (7);
CREATE USER app@'%' IDENTIFIED BY 'app'; GRANT ALL ON shop.* TO app@'%';
END
[ -z "$1" ] || echo "ALTER USER root@localhost IDENTIFIED BY '$1'" | mariadb
systemd-run --quiet --unit=shop-client sh -c \
  'while sleep 1; do echo "SELECT id FROM shop.orders;"; done \
   | mariadb -h 127.0.0.1 -u app -papp --skip-column-names --unbuffered > /run/shop.log'
"""
_NO_DATABASE = """
systemctl stop shop-client
systemctl disable --quiet --now mariadb
apt-get --quiet --quiet --assume-yes purge mariadb-server mariadb-common mysql-common > /dev/null
rm -rf /var/lib/mysql /etc/mysql /run/shop.log
"""
_CONTAINER = """
set -eu
apt-get --quiet --quiet update
apt-get --quiet --quiet --assume-yes --no-install-recommends install containerd busybox-static > /dev/null
mkdir -p /opt/theirs/bin /etc/containerd
cp /bin/busybox /opt/theirs/bin/sleep
printf 'version = 2\\n# their own\\n' > /etc/containerd/config.toml
systemctl enable --quiet containerd
systemctl restart containerd
ctr run --detach --net-host --rootfs /opt/theirs theirs /bin/sleep 1000000
"""
_NO_CONTAINER = """
ctr tasks kill --signal SIGKILL theirs; sleep 1; ctr containers delete theirs
systemctl disable --quiet --now containerd
apt-get --quiet --quiet --assume-yes purge containerd busybox-static > /dev/null
rm -rf /opt/theirs /etc/containerd
find /var/lib/containerd -mindepth 1 -delete
"""
_MUNGE = """
set -eu
apt-get --quiet --quiet update
apt-get --quiet --quiet --assume-yes --no-install-recommends install munge > /dev/null
printf %s "$1" > /etc/munge/munge.key
systemctl enable --quiet munge
systemctl restart munge
"""
_NO_MUNGE = """
systemctl disable --quiet --now munge
apt-get --quiet --quiet --assume-yes purge munge > /dev/null
"""


@contextmanager
def packages(
    lab: Lab, host: str, *made_of: tuple[str, str, str, str], how: str = "--install"
) -> Iterator[None]:
    """Packages: name, version, further lines of the control file, and a service that one brings."""
    try:
        for name, version, fields, unit in made_of:
            root(lab, host, _PACKAGE, name, version, unit, how, data=fields)
        yield
    finally:
        for name, *_ in reversed(made_of):
            root(lab, host, _PURGE, name)


@dirt
def docker(lab: Lab, host: str) -> Iterator[None]:
    """Docker from its publisher: its containerd.io and Debian's containerd refuse each other."""
    containerd = "Provides: containerd, runc\nConflicts: containerd, runc\nReplaces: containerd, runc\n"
    io = ("containerd.io", "1.7.29-1", containerd, "")
    with packages(lab, host, io, ("docker-ce", "5:28.0.1-1", "Depends: containerd.io\n", "docker")):
        yield


@dirt
def unwilling_package(lab: Lab, host: str, name: str, refuses: str) -> Iterator[None]:
    """A package of a team that cannot be beside one of ours."""
    with packages(lab, host, (name, "1.0", f"Conflicts: {refuses}\n", "")):
        yield


@dirt
def held_package(lab: Lab, host: str, name: str) -> Iterator[None]:
    """A package that the administrator put on hold."""
    with made(lab, host, f"apt-mark hold {shlex.quote(name)}", f"apt-mark unhold {shlex.quote(name)}"):
        yield


@dirt
def unfinished_package(lab: Lab, host: str, name: str = "half-done") -> Iterator[None]:
    """A package that was unpacked and cannot be configured, since nobody has what it depends on."""
    with packages(lab, host, (name, "1.0", "Depends: nowhere-to-be-found\n", ""), how="--unpack"):
        yield


@dirt
def service(lab: Lab, host: str, name: str, written: Mapping[str, str] | None = None) -> Iterator[None]:
    """A service with a unit file in /etc, which runs and starts at boot, and files of its own."""
    unit = f"/etc/systemd/system/{name}.service"
    make = f"systemctl daemon-reload; systemctl enable --quiet --now {name}"
    undo = f"systemctl disable --quiet --now {name}"
    with files(lab, host, {unit: _SERVICE, **(written or {})}), made(lab, host, make, undo):
        yield


@dirt
def drop_in(lab: Lab, host: str, unit: str, text: str) -> Iterator[None]:
    """A drop-in of somebody else for a unit."""
    path = f"/etc/systemd/system/{unit}.d/10-theirs.conf"
    with files(lab, host, {path: text}), made(lab, host, "systemctl daemon-reload", "true"):
        yield


@dirt
def container(lab: Lab, host: str) -> Iterator[None]:
    """A container `theirs` that somebody runs with Debian's containerd, which has settings of its own."""
    with proxied(lab, host), made(lab, host, _CONTAINER, _NO_CONTAINER):
        yield


@dirt
def munge(lab: Lab, host: str, key: str) -> Iterator[None]:
    """Debian's munge with a key that is not the site's. key: at least 32 bytes."""
    with proxied(lab, host), made(lab, host, f"set -- {shlex.quote(key)}\n{_MUNGE}", _NO_MUNGE):
        yield


@dirt
def database(lab: Lab, host: str, password: str = "") -> Iterator[None]:
    """A MariaDB on all addresses with the database `shop` of another team, and a client that stays connected.

    The client writes what it reads to /run/shop.log every second. password: what root needs on the host.
    """
    make = f"set -- {shlex.quote(password)}\n{_DATABASE}"
    with proxied(lab, host), made(lab, host, make, _NO_DATABASE):
        yield
