#!/usr/bin/python
"""Fetch programs from the site registry, several at a time, each checked against its sha256."""

from __future__ import annotations

import concurrent.futures
import hashlib
import os
import pathlib
import ssl
import tempfile
import time
import urllib.error
import urllib.request
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.host_files import before

DOCUMENTATION = """
module: registry_programs
short_description: Fetch programs from the site registry
description: A program is the blob of its sha256 in repository platformctl/NAME. Whole ones are left alone.
options:
  registry: {description: Host name and port of the registry., type: str, required: true}
  authority: {description: "File with the registry's authority (PEM).", type: path, required: true}
  programs:
    description: Programs with name, sha256 (hex) and path (where to put it).
    type: list
    elements: dict
    required: true
"""

RETURN = """
fetched: {description: Paths of the programs that were fetched., type: list, elements: str, returned: always}
"""

_ATTEMPTS = 5
_TIMEOUT_SECONDS = 60
_CHUNK = 1 << 20


def main() -> None:
    """Entry point of the module."""
    module = AnsibleModule(
        argument_spec={
            "registry": {"type": "str", "required": True},
            "authority": {"type": "path", "required": True},
            "programs": {
                "type": "list",
                "elements": "dict",
                "required": True,
                "options": {
                    "name": {"type": "str", "required": True},
                    "sha256": {"type": "str", "required": True},
                    "path": {"type": "path", "required": True},
                },
            },
        },
        supports_check_mode=True,
    )
    programs = module.params["programs"]
    missing = [item for item in programs if not _is_whole(item)]
    if not module.check_mode:
        before.keep(pathlib.Path(item["path"]) for item in missing)
    if missing and not module.check_mode:
        context = ssl.create_default_context(cafile=module.params["authority"])
        # The registry is the site's own: no proxy of the host is for it.
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
        )
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            fetches = {pool.submit(_fetch, module.params["registry"], opener, item): item for item in missing}
            for fetch in concurrent.futures.as_completed(fetches):
                if fetch.exception() is not None:
                    name = fetches[fetch]["name"]
                    module.fail_json(
                        msg=f"cannot fetch {name} from {module.params['registry']}: {fetch.exception()}"
                    )
    if not module.check_mode:
        before.record({item["path"]: item["sha256"] for item in programs})
    module.exit_json(changed=bool(missing), fetched=[item["path"] for item in missing])


def _is_whole(item: dict[str, Any]) -> bool:
    path = pathlib.Path(item["path"])
    if not path.is_file() or not os.access(path, os.X_OK):
        return False
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest() == str(item["sha256"])


def _fetch(registry: str, opener: urllib.request.OpenerDirector, item: dict[str, Any]) -> None:
    url = f"https://{registry}/v2/platformctl/{item['name']}/blobs/sha256:{item['sha256']}"
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            _download(url, opener, item)
        except (urllib.error.URLError, ConnectionError, TimeoutError) as error:
            missing = isinstance(error, urllib.error.HTTPError) and error.code == 404
            if missing or attempt == _ATTEMPTS:
                raise
            time.sleep(attempt)
        else:
            return


def _download(url: str, opener: urllib.request.OpenerDirector, item: dict[str, Any]) -> None:
    """Fetch to a neighbour of the destination and put it in place only when every byte is right."""
    path = pathlib.Path(item["path"])
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=".platformctl-")
    temporary = pathlib.Path(name)
    digest = hashlib.sha256()
    try:
        with (
            os.fdopen(descriptor, "wb") as target,
            opener.open(url, timeout=_TIMEOUT_SECONDS) as source,
        ):
            while chunk := source.read(_CHUNK):
                digest.update(chunk)
                target.write(chunk)
        if digest.hexdigest() != item["sha256"]:
            raise ValueError(f"its sha256 is {digest.hexdigest()}, not {item['sha256']}")
        temporary.chmod(0o755)
        temporary.replace(path)
    except BaseException:
        temporary.unlink()
        raise


if __name__ == "__main__":
    main()
