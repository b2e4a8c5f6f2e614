#!/usr/bin/python3
"""Tries the network of a host from the host itself: ports of other hosts, and its own name service.

Runs as `python3 - '{"listen": ...}'` with this file on standard input and prints JSON. With `listen` it opens
the ports that nothing listens on yet, in a process of its own that ends after a time or by a signal; with
`try` it connects to ports of other hosts. Nothing on the host changes.
Standard library only, Python 3.9 or newer: it runs on foreign hosts.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import pathlib
import selectors
import signal
import socket
import struct
import sys
import threading
import time
from collections.abc import Sequence
from typing import Any

_ANSWER = b"platformctl"
_CONNECT_SECONDS = 3.0
_NAME_SERVER_SECONDS = 2.0
_RESOLVED = "/run/systemd/resolve/resolv.conf"
_OWN_RULES = "/etc/platformctl/firewall.nft"


def main() -> None:
    """Do what the argument says."""
    asked = json.loads(sys.argv[1])
    answer: dict[str, Any] = {}
    if "names" in asked:
        answer["names"] = _names(asked["names"])
    if "listen" in asked:
        answer["own_rules"] = pathlib.Path(_OWN_RULES).exists()
        answer |= _listen([tuple(entry) for entry in asked["listen"]], float(asked["seconds"]))
    if "try" in asked:
        answer["tried"] = _try([tuple(entry) for entry in asked["try"]])
    sys.stdout.write(json.dumps(answer) + "\n")


def _listen(ports: Sequence[tuple[str, int]], seconds: float) -> dict[str, Any]:
    """Listen on these ports (tcp or udp) in another process; says which are in use, and the process's id."""
    sockets, busy = [], []
    for protocol, port in ports:
        try:
            sockets.append(_open(protocol, port))
        except OSError:
            busy.append((protocol, port))
    if not sockets:
        return {"process": 0, "busy": busy}
    process = os.fork()
    if process == 0:
        try:
            _serve(sockets, seconds)
        finally:
            os._exit(0)
    return {"process": process, "busy": busy}


def _open(protocol: str, port: int) -> socket.socket:
    kind = socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM
    try:
        opened = socket.socket(socket.AF_INET6, kind)
        opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        address: Any = ("::", port)
    except OSError:  # no IPv6 here
        opened = socket.socket(socket.AF_INET, kind)
        address = ("0.0.0.0", port)  # noqa: S104 - other hosts must reach it
    try:
        if protocol == "tcp":
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.bind(address)
        if protocol == "tcp":
            opened.listen(128)
        opened.setblocking(False)
    except OSError:
        opened.close()
        raise
    return opened


def _serve(sockets: Sequence[socket.socket], seconds: float) -> None:
    """Accept and close connections, and answer datagrams, until the time is over."""
    os.setsid()
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.alarm(int(seconds) + 1)
    # ssh waits until nothing has its pipes open.
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in range(3):
        os.dup2(nothing, descriptor)
    end = time.monotonic() + seconds
    with selectors.DefaultSelector() as selector:
        for opened in sockets:
            selector.register(opened, selectors.EVENT_READ)
        while (left := end - time.monotonic()) > 0:
            for key, _ in selector.select(left):
                _welcome(key.fileobj)


def _welcome(opened: Any) -> None:
    try:
        if opened.type == socket.SOCK_STREAM:
            opened.accept()[0].close()
        else:
            _, sender = opened.recvfrom(64)
            opened.sendto(_ANSWER, sender)
    except OSError:
        pass  # the other side has gone


def _try(wanted: Sequence[tuple[str, str, int]]) -> list[str]:
    """For each protocol, address and port an empty text, or why it cannot be reached. All at once."""
    found = ["no answer"] * len(wanted)
    with selectors.DefaultSelector() as selector:
        for number, (protocol, address, port) in enumerate(wanted):
            try:
                opened = _start(protocol, address, port)
            except OSError as error:
                found[number] = _reason(error.errno, str(error))
            else:
                event = selectors.EVENT_WRITE if protocol == "tcp" else selectors.EVENT_READ
                selector.register(opened, event, number)
        end = time.monotonic() + _CONNECT_SECONDS
        again = time.monotonic() + 1
        while selector.get_map() and (left := end - time.monotonic()) > 0:
            for key, _ in selector.select(min(left, 0.5)):
                ready: Any = key.fileobj
                failure = ready.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                found[key.data] = _reason(failure, os.strerror(failure)) if failure else ""
                selector.unregister(ready)
                ready.close()
            if time.monotonic() > again:
                again = end
                _repeat(selector)
    return found


def _start(protocol: str, address: str, port: int) -> socket.socket:
    family, _, _, _, place = socket.getaddrinfo(address, port, type=socket.SOCK_STREAM)[0]
    opened = socket.socket(family, socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM)
    opened.setblocking(False)
    code = opened.connect_ex(place)
    if code not in (0, errno.EINPROGRESS):
        opened.close()
        raise OSError(code, os.strerror(code))
    if protocol == "udp":
        opened.send(_ANSWER)
    return opened


def _repeat(selector: selectors.BaseSelector) -> None:
    """Send the datagrams that nobody answered once more: one may be lost."""
    for key in selector.get_map().values():
        opened: Any = key.fileobj
        if opened.type == socket.SOCK_DGRAM:
            with contextlib.suppress(OSError):  # reported by the next look at the socket
                opened.send(_ANSWER)


def _reason(code: int | None, words: str) -> str:
    return "refused" if code == errno.ECONNREFUSED else words.lower()


def _names(asked: dict[str, Any]) -> dict[str, Any]:
    """The name service: what pods will get, name servers that are silent, and names with other addresses."""
    given = str(asked.get("resolv_conf") or "")
    # As kubeadm chooses it.
    resolved = pathlib.Path(_RESOLVED).exists() and _runs("systemd-resolve")
    path = given or (_RESOLVED if resolved else "/etc/resolv.conf")
    servers, search = _resolv_conf(path)
    own, _ = _resolv_conf("/etc/resolv.conf")
    everyone = sorted({*servers, *own})
    return {
        "path": path,
        "there": pathlib.Path(path).exists(),
        "servers": servers,
        "search": search,
        "silent": {server: why for server, why in zip(everyone, _ask_all(everyone)) if why},  # noqa: B905 - 3.9
        "localhost": _addresses_of("localhost"),
        "hosts": _hosts(asked.get("hosts") or []),
    }


def _resolv_conf(path: str) -> tuple[list[str], list[str]]:
    """The name servers and search domains of a resolv.conf."""
    servers: list[str] = []
    search: list[str] = []
    for line in _lines(path):
        words = line.split()
        if words[0] == "nameserver" and len(words) > 1:
            servers.append(words[1])
        elif words[0] in ("search", "domain"):
            search = words[1:]
    return servers, search


def _lines(path: str) -> list[str]:
    try:
        text = pathlib.Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    return [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith((";", "#!"))]


def _runs(name: str) -> bool:
    for path in pathlib.Path("/proc").glob("[0-9]*/comm"):
        try:
            if path.read_text().strip().startswith(name):
                return True
        except OSError:
            continue
    return False


def _ask_all(servers: Sequence[str]) -> list[str]:
    found = ["no answer"] * len(servers)

    def ask(number: int, server: str) -> None:
        found[number] = _ask(server)

    threads = [threading.Thread(target=ask, args=item, daemon=True) for item in enumerate(servers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(2 * _NAME_SERVER_SECONDS + 1)
    return found


def _ask(server: str) -> str:
    """Ask a name server for the root's name servers; any answer counts. Returns why there is none."""
    head = struct.pack(">HHHHHH", os.getpid() & 0xFFFF, 0x0100, 1, 0, 0, 0)
    question = head + b"\0" + struct.pack(">HH", 2, 1)
    reason = "no answer"
    for _ in range(2):
        try:
            family, _, _, _, place = socket.getaddrinfo(server, 53, type=socket.SOCK_DGRAM)[0]
            with socket.socket(family, socket.SOCK_DGRAM) as opened:
                opened.settimeout(_NAME_SERVER_SECONDS)
                opened.connect(place)
                opened.send(question)
                opened.recv(512)
            return ""
        except OSError as error:
            reason = "no answer" if isinstance(error, socket.timeout) else _reason(error.errno, str(error))
    return reason


def _addresses_of(name: str) -> list[str]:
    try:
        return sorted({str(entry[4][0]) for entry in socket.getaddrinfo(name, None)})
    except OSError:
        return []


def _hosts(names: Sequence[str]) -> dict[str, str]:
    """The addresses that /etc/hosts gives these names, except in the part that platformctl writes."""
    found: dict[str, str] = {}
    ours = False
    for line in _lines("/etc/hosts"):
        if line.startswith("#"):
            ours = "BEGIN platformctl" in line if "platformctl" in line else ours
            continue
        words = line.split("#")[0].split()
        for name in words[1:] if not ours else []:
            if name in names:
                found.setdefault(name, words[0])
    return found


if __name__ == "__main__":
    main()
