"""An inventory whose vault is not the one that the hosts were installed with, and users' kubeconfigs."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from platformctl.lab.dirt.made import dirt, files, root
from platformctl.lab.lifecycle import Lab
from platformctl.site import rotations, secrets

_RECORD = "/var/lib/platformctl/digests.json"


@contextmanager
def _kept(lab: Lab) -> Iterator[Path]:
    """The lab's vault, which comes back after the block."""
    vault = secrets.vault_path(lab.inventory)
    content = vault.read_bytes()
    try:
        yield vault
    finally:
        vault.write_bytes(content)


@contextmanager
def foreign_vault(lab: Lab) -> Iterator[None]:
    """Another site's vault lies in the inventory, and its key is at hand."""
    with _kept(lab):
        made = {
            name: value for secret in rotations.SECRETS for name, value in secret.make("elsewhere").items()
        }
        secrets.change(lab.inventory, lambda _: made)
        yield


@contextmanager
def edited_vault(lab: Lab, variable: str) -> Iterator[None]:
    """Somebody put another value of one secret into the vault."""
    with _kept(lab):
        secret = rotations.of_variable(variable)
        assert secret
        secrets.change(lab.inventory, lambda held: {**held, variable: secret.make("elsewhere")[variable]})
        yield


@contextmanager
def no_vault(lab: Lab) -> Iterator[None]:
    """The vault is gone from the inventory."""
    with _kept(lab) as vault:
        vault.unlink()
        yield


@dirt
def half_rotated(lab: Lab, host: str, stage: str, variable: str) -> Iterator[None]:
    """A host got another secret than the others, by somebody whose vault is not here."""
    record = json.loads(root(lab, host, f"cat {_RECORD}"))
    (found,) = record[stage]["secrets"][variable]["prints"]
    salt, _, digest = found.partition("$")
    record[stage]["secrets"][variable]["prints"] = [f"{salt}${digest[::-1]}"]
    with files(lab, host, {_RECORD: json.dumps(record)}):
        yield


@contextmanager
def kubeconfig_of_others(path: Path) -> Iterator[None]:
    """A kubeconfig of somebody who works with another cluster."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(KUBECONFIG)
    try:
        yield
    finally:
        for file in path.parent.iterdir():
            file.unlink()
        path.parent.rmdir()


KUBECONFIG = """\
apiVersion: v1
kind: Config
current-context: work
clusters:
- {name: work, cluster: {server: 'https://work.example:6443'}}
contexts:
- {name: work, context: {cluster: work, user: kubernetes-admin, namespace: "0123"}}
users:
- {name: kubernetes-admin, user: {token: secret-of-work}}
"""
