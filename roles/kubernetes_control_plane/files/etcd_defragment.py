#!/usr/bin/python3
"""Give back the space that etcd's database no longer needs: one member after the other, the leader last.

Written by platformctl. The API server compacts etcd every five minutes, but the file of the database only
shrinks when a member is defragmented, and the quota counts the file. A member does not answer meanwhile. So
the others must all be well, and the next one waits until this one is well again. Each control plane host has
the timer; only the first member by name does something.

usage: platformctl-etcd-defragment NODE
"""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

_PKI = "/etc/kubernetes/pki/etcd"
_CREDENTIALS = (f"--cacert={_PKI}/ca.crt", f"--cert={_PKI}/server.crt", f"--key={_PKI}/server.key")
# Not worth a pause of the member: fewer bytes, or a smaller part of the file.
WORTH_BYTES, WORTH_PART = 50 * 2**20, 0.2
WAIT_SECONDS = 120.0
# An alarm stays when there is room again, and etcd takes no writes until it is cleared.
CLEAR_BELOW = 0.9

Etcdctl = Callable[..., str]


class NotWellError(Exception):
    """Not all members answer."""


def in_pod(node: str) -> Etcdctl:
    """etcdctl in the static pod of a host; the host itself has none."""
    command = [
        "/usr/local/bin/kubectl", "--kubeconfig=/etc/kubernetes/admin.conf", "--namespace=kube-system",
        "exec", f"etcd-{node}", "--", "etcdctl", *_CREDENTIALS,
    ]  # fmt: skip

    def run(*words: str) -> str:
        done = subprocess.run([*command, *words], check=False, capture_output=True, text=True)
        if done.returncode:
            raise NotWellError(" ".join(done.stderr.split())[-500:] or f"exit status {done.returncode}")
        return done.stdout

    return run


def members(etcdctl: Etcdctl) -> list[Mapping[str, Any]]:
    """All members by name; NotWellError if one has not started."""
    found: list[Mapping[str, Any]] = json.loads(etcdctl("member", "list", "--write-out=json"))["members"]
    if not all(member.get("name") and member.get("clientURLs") for member in found):
        raise NotWellError("a member has not started yet")
    return sorted(found, key=lambda member: str(member["name"]))


def statuses(etcdctl: Etcdctl, urls: Sequence[str]) -> list[Mapping[str, Any]]:
    """The status of each member, in the order of their addresses; NotWellError if one does not answer."""
    answer = json.loads(etcdctl("endpoint", "status", f"--endpoints={','.join(urls)}", "--write-out=json"))
    by_url = {item["Endpoint"]: item["Status"] for item in answer}
    if missing := [url for url in urls if url not in by_url or not is_well(by_url[url])]:
        raise NotWellError(f"{', '.join(missing)} is not well")
    return [by_url[url] for url in urls]


def is_well(state: Mapping[str, Any]) -> bool:
    """Whether a member reports no error but that the database is full, which is what this is for."""
    return all("NOSPACE" in error for error in state.get("errors") or [])


def in_order(found: Sequence[Mapping[str, Any]], states: Iterable[Mapping[str, Any]]) -> list[str]:
    """The addresses of the members that are worth it, the leader's last.

    A full database is always worth it: what is in use may be an old number, as nothing is written any more.
    """
    worth = []
    for member, state in zip(found, states, strict=True):
        size, used = int(state["dbSize"]), int(state.get("dbSizeInUse") or 0)
        if state.get("errors") or size - used >= max(WORTH_BYTES, WORTH_PART * size):
            worth.append((state["header"]["member_id"] == state["leader"], str(member["clientURLs"][0])))
    return [url for _, url in sorted(worth)]


def defragment(etcdctl: Etcdctl, node: str) -> list[str]:
    """What was done, in words. NotWellError: something does not answer, and nothing more was done."""
    found = members(etcdctl)
    if found[0]["name"] != node:
        return [f"{found[0]['name']} does this for all members"]
    urls = [str(member["clientURLs"][0]) for member in found]
    said = []
    for url in in_order(found, statuses(etcdctl, urls)):
        before = statuses(etcdctl, [url])[0]["dbSize"]
        etcdctl("defrag", f"--endpoints={url}", "--command-timeout=300s")
        await_well(etcdctl, urls)
        after = statuses(etcdctl, [url])[0]["dbSize"]
        said.append(f"{url}: from {before // 2**20} to {after // 2**20} MiB")
    return [*(said or ["no member has enough to give back"]), *clear(etcdctl, urls)]


def clear(etcdctl: Etcdctl, urls: Sequence[str]) -> list[str]:
    """Clear the alarm of a full database once all members have room again."""
    if "NOSPACE" not in etcdctl("alarm", "list"):
        return []
    for state in statuses(etcdctl, urls):
        if state["dbSize"] > CLEAR_BELOW * (state.get("dbSizeQuota") or 0):
            return [
                "the database is still full: delete objects, or raise kubernetes_control_plane_etcd_quota_mib"
            ]
    etcdctl("alarm", "disarm")
    return ["the alarm of a full database is cleared"]


def await_well(etcdctl: Etcdctl, urls: Sequence[str]) -> None:
    """Wait until all members answer."""
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        try:
            statuses(etcdctl, urls)
            return
        except NotWellError:
            if time.monotonic() > deadline:
                raise
            time.sleep(1)


def main(node: str) -> int:
    """Exit status 1 if a member is not well."""
    try:
        sys.stdout.write("\n".join([*defragment(in_pod(node), node), ""]))
    except NotWellError as error:
        sys.stderr.write(f"etcd is not defragmented: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
