"""The claims of roles name every file and service of the host's that the roles write and run."""

import re
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import yaml

from platformctl import paths

ROLES = paths.data_dir() / "roles"
# Files that only platformctl has: their names say so.
OURS = re.compile(r"platform|slurm-rest/|/kubeadm\.yaml$|90-slurm\.cnf$")


def _tasks(path: Path) -> list[dict[str, Any]]:
    return [task for task in yaml.safe_load(path.read_text()) or [] if isinstance(task, dict)]


def _claims() -> list[dict[str, Any]]:
    files = ROLES.glob("*/meta/claims.yml")
    return [claim for path in files for claim in yaml.safe_load(path.read_text()).values()]


def _covered(path: str) -> bool:
    for claim in _claims():
        exact = [*claim.get("files", ()), *claim.get("files_in_use", ()), *claim.get("programs", ())]
        exact += [f"/etc/systemd/system/{unit}" for unit in claim.get("services", ())]
        if any(fnmatch(path, pattern) for pattern in exact):
            return True
        if any(path.startswith(f"{folder}/") for folder in claim.get("directories", ())):
            return True
    return False


def test_every_file_that_roles_write_is_claimed() -> None:
    written = [
        (path.parts[-3], file["path"])
        for path in sorted(ROLES.glob("*/tasks/*.yml"))
        for task in _tasks(path)
        for file in (task.get("host_files") or {}).get("files") or ()
        if isinstance(file, dict) and "{{" not in file["path"]
    ]
    assert len(written) > 10
    missing = [(role, path) for role, path in written if not OURS.search(path) and not _covered(path)]
    assert missing == [], "name these in the role's meta/claims.yml"


def test_every_service_that_roles_run_is_claimed() -> None:
    run = {
        unit
        for path in ROLES.glob("*/tasks/*.yml")
        for task in _tasks(path)
        for unit in (task.get("host_files") or {}).get("services") or ()
        if "{{" not in unit
    }
    claimed = {unit for claim in _claims() for unit in claim.get("services", ())}
    system = {"systemd-modules-load.service", "systemd-sysctl.service"}
    assert sorted(unit for unit in run - claimed - system if "platform" not in unit) == []


def test_claims_have_known_keys_and_fates() -> None:
    keys = {
        "fate",
        "services",
        "files",
        "files_in_use",
        "processes",
        "links",
        "directories",
        "programs",
        "rules",
    }
    for claim in _claims():
        assert set(claim) <= keys | {"database", "containers"}
        assert claim.get("fate", "stopped") in ("stopped", "kept", "beside")
