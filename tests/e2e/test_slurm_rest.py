"""slurmrestd against its own OpenAPI document, with requests that schemathesis makes up from it.

It is asked as a user of the site, in the dialect that the router speaks, through its TLS.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
import schemathesis
import yaml
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import Response

from platformctl.jobs.slurm import DIALECTS
from platformctl.site import secrets
from tests.e2e.conftest import Site
from tests.e2e.test_slurm import CTL

DIALECT = DIALECTS[0]
_A_FEW = settings(
    max_examples=5,
    deadline=None,
    database=None,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
# Of the accounting, the front lets through what the router asks for: of requests to the rest slurmrestd dies.
_SERVED = re.compile(r"GET /slurm/.*|GET /slurmdb/v[0-9.]+/(job/\{job_id\}|associations/)")
# What a user asks for by these is the user's own.
_OWN = ("/job/submit", "/job/allocate")
_DAEMONS = ("slurmrestd", "slurmctld", "slurmdbd")


@dataclass(frozen=True)
class Rest:
    """operations: every call of the document. authority: file with the site's certificate authority."""

    operations: tuple[Any, ...]
    address: str
    authority: str
    token: str

    def ask(self, operation: Any, judge: Callable[[Any, Response], None], **fixed: Any) -> None:
        """Make a few calls up, make them as alice, and judge the answers. fixed: path parameters."""

        @_A_FEW
        @given(case=operation.as_strategy())
        def asked(case: Any) -> None:
            case.path_parameters.update(fixed)
            headers = {"X-SLURM-USER-TOKEN": self.token}
            answer = case.call(base_url=self.address, headers=headers, verify=self.authority, timeout=30)
            judge(case, answer)

        asked()


@pytest.fixture
def rest(site: Site, tmp_path: Path) -> Rest:
    authority = tmp_path / "ca.crt"
    authority.write_text(secrets.load(site.inventory)["secret_site_ca_certificate"])
    hosts = yaml.safe_load((site.inventory / "hosts.yml").read_text())
    address = f"https://{hosts['all']['hosts'][CTL]['ansible_host']}:6820"
    token = (
        site.host(CTL, "scontrol", "token", "username=alice", "lifespan=900")
        .strip()
        .removeprefix("SLURM_JWT=")
    )
    document = requests.get(
        f"{address}/openapi/v3", headers={"X-SLURM-USER-TOKEN": token}, verify=authority, timeout=30
    ).json()
    document["paths"] = {path: calls for path, calls in document["paths"].items() if DIALECT in path}
    found = schemathesis.openapi.from_dict(document).get_all_operations()
    return Rest(tuple(item.ok() for item in found), address, str(authority), token)


def daemons(site: Site) -> list[str]:
    """Their process ids, which change when one dies."""
    command = ["systemctl", "show", "--property=MainPID", "--value", *_DAEMONS]
    return site.host(CTL, *command).split()


def judged(case: Any, answer: Response) -> None:
    """It answers itself: a front whose server died says 502 or 503.

    What it says is Slurm's own: records of jobs do not keep to its schemas, nor errors to its content types.
    """
    assert answer.status_code not in (502, 503, 504), (case, answer.text)


def refused(case: Any, answer: Response) -> None:
    assert answer.status_code == 403, (case, answer.text)


def test_slurmrestd_answers_all_that_its_document_has_and_stays_up(site: Site, rest: Rest) -> None:
    before = daemons(site)
    reading = [operation for operation in rest.operations if operation.method == "get"]
    served = [operation for operation in reading if _SERVED.fullmatch(operation.label)]
    assert len(served) > 10
    assert len(reading) > len(served)
    for operation in reading:
        rest.ask(operation, judged if operation in served else refused)
    assert daemons(site) == before


def configured(site: Site) -> str:
    """What administrators configured, and what runs."""
    return site.host(
        CTL,
        "sh",
        "-c",
        "sacctmgr -n -P show associations tree format=cluster,account,user,share,qos,maxjobs,grptres;"
        "sacctmgr -n -P show qos; sacctmgr -n -P show user; sacctmgr -n -P show account;"
        "sinfo -h -N -o '%N %P %T %c %m %G'; scontrol show partition; scontrol show reservation;"
        "squeue -h -o '%A %u %T %r'",
    )


def test_a_user_changes_nothing_that_is_not_theirs_however_they_ask(site: Site, rest: Rest) -> None:
    job = site.shell(CTL, "sbatch --parsable --hold --output=/dev/null --wrap=true", "bob").strip()
    running, before = daemons(site), configured(site)
    assert f"{job} bob PENDING" in before
    changing = [operation for operation in rest.operations if operation.method in ("post", "delete")]
    changing = [operation for operation in changing if not operation.path.endswith(_OWN)]
    assert len(changing) > 15
    for operation in changing:
        of_bob = {"job_id": job} if "{job_id}" in operation.path else {}
        accounting = operation.path.startswith("/slurmdb/")
        rest.ask(operation, refused if accounting else lambda case, answer: None, **of_bob)
    assert configured(site) == before
    assert daemons(site) == running
    site.shell(CTL, f"scancel {job}", "bob")
