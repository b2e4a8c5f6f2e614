"""What each proof asks of hosts, and that it fails if the old secret is still good or the new one is not."""

import base64
import json
from collections.abc import Callable

import pytest

from platformctl.engine import remote
from platformctl.engine.checking import job_proofs
from platformctl.engine.checking.proof import Proof
from platformctl.engine.fleet import Connection, Fleet
from platformctl.engine.remote import Reply
from platformctl.engine.rotation import authority, encryption, slurm
from platformctl.errors import PlatformError
from tests.unit.engine.sites import make_fleet

GROUPS = {
    "ctl1": (
        "munge",
        "slurm_controller",
        "slurm_accounting",
        "kubernetes_control_plane",
        "registry",
        "slurm_rest",
    ),
    "n1": ("munge",),
}
OLD, NEW = (base64.b64encode(text).decode() for text in (b"old", b"new"))
OK, NO = Reply(0, "", ""), Reply(1, "", "refused")
Answer = Callable[[str, str, str], Reply]


def site(**variables: str) -> Fleet:
    return make_fleet(GROUPS, {"site_domain": "lab.example", **variables})


@pytest.fixture
def answer(monkeypatch: pytest.MonkeyPatch) -> Callable[[Answer], list[tuple[str, str, str]]]:
    """Hosts answer by a function of address, script and input; returns what was asked."""
    asked: list[tuple[str, str, str]] = []

    def set_answer(say: Answer) -> list[tuple[str, str, str]]:
        async def run(connection: Connection, script: str, data: str = "", seconds: float = 60) -> Reply:
            asked.append((connection.address, script, data))
            return say(connection.address, script, data)

        monkeypatch.setattr(remote, "run", run)
        return asked

    return set_answer


def munge(accepts: set[str]) -> Answer:
    def say(address: str, script: str, data: str) -> Reply:
        if "munged" in script:
            return Reply(0, f"credential of {data}", "")
        if script.startswith("munge "):
            return Reply(0, "credential of NEW", "")
        if script.startswith("unmunge"):
            return OK if data in accepts or (address.endswith(".11") and "NEW" in data) else NO
        return OK

    return say


async def test_munge_hosts_must_know_each_other_and_forget_the_old_key(answer: Callable) -> None:  # type: ignore[type-arg]
    fleet = site(secret_munge_key=NEW, secret_munge_key_retired=OLD)
    asked = answer(munge({"credential of NEW"}))
    assert "all 2 hosts" in await slurm.munge_agrees(fleet)
    # A key is never on a command line.
    assert not [script for _, script, _ in asked if OLD in script or NEW in script]
    answer(munge(set()))
    with pytest.raises(PlatformError, match="munge on n1 does not accept ctl1's"):
        await slurm.munge_agrees(fleet)
    answer(munge({"credential of NEW", f"credential of {OLD}"}))
    with pytest.raises(PlatformError, match="munge on ctl1 still accepts the old key"):
        await slurm.munge_agrees(fleet)


def tokens(*accepted: str) -> Answer:
    from platformctl.clients.slurmrestd import TokenMinter

    good = {TokenMinter(base64.b64decode(key)).token("slurm").split(".")[2] for key in accepted}
    return lambda _address, _script, data: OK if data.strip().split(".")[2] in good else NO


async def test_tokens_of_the_old_key_must_be_refused(
    answer: Callable,  # type: ignore[type-arg]
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fleet = site(secret_slurm_jwt_key=NEW, secret_slurm_jwt_key_retired=OLD)
    answer(tokens(NEW))
    assert "old ones are refused" in await slurm.tokens_follow(fleet)
    answer(tokens(NEW, OLD))
    with pytest.raises(PlatformError, match="still accepts tokens of the old key"):
        await slurm.tokens_follow(fleet)
    answer(tokens(OLD))
    with pytest.raises(PlatformError, match="refuses a token of the new key"):
        await slurm.tokens_follow(fleet)

    async def failed(*_: object) -> list[Proof]:
        return [Proof("Job to slurm", False, "the router has the old key", 1.0)]

    monkeypatch.setattr(job_proofs, "prove_jobs", failed)
    answer(tokens(NEW))
    users = make_fleet(GROUPS, {**fleet.variables, "users_accounts": [{"name": "alice"}]})
    with pytest.raises(PlatformError, match="Job to slurm: the router has the old key"):
        await slurm.tokens_follow(users)


async def test_the_database_must_refuse_the_old_password(answer: Callable) -> None:  # type: ignore[type-arg]
    fleet = site(secret_slurm_accounting_password="new", secret_slurm_accounting_password_retired="old")

    def lets_in(*passwords: str) -> Answer:
        return lambda _address, script, data: (
            OK if "mariadb" not in script or data.strip() in passwords else NO
        )

    asked = answer(lets_in("new"))
    assert "refuses the old password" in await slurm.database_password(fleet)
    assert not [script for _, script, _ in asked if "old" in script or "new" in script]
    answer(lets_in("new", "old"))
    with pytest.raises(PlatformError, match="still accepts the old password"):
        await slurm.database_password(fleet)
    answer(lets_in("old"))
    with pytest.raises(PlatformError, match="refuses the new password"):
        await slurm.database_password(fleet)


async def test_hosts_must_trust_both_authorities_and_later_forget_one(answer: Callable) -> None:  # type: ignore[type-arg]
    both = site(secret_site_ca_certificate="NEW", secret_site_ca_certificate_previous="OLD")
    end = site(secret_site_ca_certificate="NEW", secret_site_ca_certificate_retired="OLD")

    def trusts(*known: str) -> Answer:
        return lambda address, _script, data: OK if data in known or address.endswith(".11") else NO

    answer(trusts("NEW", "OLD"))
    assert "two authorities" in await authority.trusted(both)
    with pytest.raises(PlatformError, match="ctl1 still trusts the old authority"):
        await authority.forgotten(end)
    answer(trusts("NEW"))
    with pytest.raises(PlatformError, match="n1 does not trust an authority of the site"):
        await authority.trusted(both)
    answer(lambda _address, _script, data: OK if data == "NEW" else NO)
    assert await authority.forgotten(end) == "no host trusts the old authority"


async def test_services_must_show_the_new_authority(answer: Callable) -> None:  # type: ignore[type-arg]
    fleet = site(secret_site_ca_certificate="NEW")
    asked = answer(lambda *_: OK)
    assert "registry.lab.example, rest.lab.example" in await authority.shown(fleet)
    assert {data for _, _, data in asked} == {"NEW"}
    answer(lambda _address, script, _data: NO if "rest.lab.example" in script else OK)
    with pytest.raises(PlatformError, match=r"rest\.lab\.example does not show"):
        await authority.shown(fleet)


async def test_secrets_that_stay_under_the_old_key_are_named(answer: Callable) -> None:  # type: ignore[type-arg]
    fleet = site(secret_kubernetes_encryption_key_name="site-1")
    asked = answer(lambda *_: Reply(0, json.dumps({"done": 7, "left": []}), ""))
    assert await encryption.rewritten(fleet) == "7 Secrets were written again; etcd holds all under site-1"
    assert "read from etcd without the old key" in await encryption.only_new(fleet)
    assert [script for _, script, _ in asked] == ["python3 - ctl1 site-1", "python3 - ctl1 site-1 read"]
    answer(lambda *_: Reply(1, json.dumps({"done": 6, "left": ["a/s"]}), ""))
    with pytest.raises(PlatformError, match="1 Secrets are still under another key") as caught:
        await encryption.rewritten(fleet)
    assert caught.value.details == ["a/s"]
    answer(lambda *_: Reply(1, "", "etcd cannot be read: no such pod"))
    with pytest.raises(PlatformError, match="etcd cannot be read: no such pod"):
        await encryption.rewritten(fleet)


async def test_an_api_server_that_does_not_read_its_keys_is_named(answer: Callable) -> None:  # type: ignore[type-arg]
    answer(lambda *_: OK)
    assert "every API server" in await encryption.loaded(site())
    answer(lambda *_: Reply(1, "", "the API server still works with an older file"))
    with pytest.raises(PlatformError, match="the API server on ctl1 has not read its new keys"):
        await encryption.loaded(site())
