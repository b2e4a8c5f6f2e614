"""The operator's own files: a vault of another site, and a kubeconfig of other clusters."""

import os
import tempfile
from pathlib import Path

from platformctl.clients.kubeconfig import read
from platformctl.lab.dirt import vaults
from tests.e2e.situations.situation import Place, Result, Situation, When

_CONFIG = Path(tempfile.gettempdir()) / f"platformctl-dirt-{os.getpid()}" / "config"
_ALL = ("munge_key", "slurm_jwt_key", "slurm_accounting_password", "kubernetes_encryption_key", "site_ca")


def _refused(name: str, command: str, quick: bool = False) -> Situation:
    return Situation(
        name,
        When.INSTALLED,
        Result.REFUSED,
        lambda place: vaults.foreign_vault(place.lab),
        (*_ALL, "ctl1", "put back the vault"),
        command=(command,),
        code=3,
        quick=quick,
    )


def _both_contexts_work(_: Place) -> None:
    others = read([_CONFIG])
    assert (others.name, others.user, others.namespace) == ("work", {"token": "secret-of-work"}, "0123")
    assert read([_CONFIG], "kubernetes-admin@lab").cluster["tls-server-name"].startswith("api.")
    copies = [file for file in _CONFIG.parent.iterdir() if ".before-" in file.name]
    assert [copy.read_text() for copy in copies] == [vaults.KUBECONFIG]


SITUATIONS = (
    _refused("the inventory has another site's vault", "install"),
    _refused("the inventory has another site's vault, and somebody looks at the plan", "plan"),
    _refused("the inventory has another site's vault, and somebody installs the charts", "charts"),
    _refused("the inventory has another site's vault, and somebody verifies", "verify"),
    Situation(
        "somebody edited one secret in the vault",
        When.INSTALLED,
        Result.REFUSED,
        lambda place: vaults.edited_vault(place.lab, "secret_kubernetes_encryption_key"),
        ("kubernetes_encryption_key", "ctl1", "secrets rotate kubernetes_encryption_key"),
        code=3,
    ),
    Situation(
        "the vault is gone",
        When.INSTALLED,
        Result.REFUSED,
        lambda place: vaults.no_vault(place.lab),
        ("the vault has none", *_ALL),
        code=3,
    ),
    Situation(
        "the vault is gone, and somebody makes new secrets",
        When.INSTALLED,
        Result.REFUSED,
        lambda place: vaults.no_vault(place.lab),
        ("the vault has none", *_ALL),
        command=("secrets", "make"),
        code=3,
    ),
    Situation(
        "one host has another munge key than the others",
        When.INSTALLED,
        Result.REFUSED,
        lambda place: vaults.half_rotated(place.lab, "node2", "munge", "secret_munge_key"),
        ("munge_key", "node2 (since"),
        code=3,
    ),
    Situation(
        "kubeconfig --file names a file with a context of another cluster",
        When.INSTALLED,
        Result.NAMED,
        lambda _: vaults.kubeconfig_of_others(_CONFIG),
        ("kubernetes-admin",),
        command=("kubeconfig", "--file", str(_CONFIG)),
        code=0,
        kept=_both_contexts_work,
    ),
)
