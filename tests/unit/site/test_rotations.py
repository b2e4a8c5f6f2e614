"""The vault through a rotation: what hosts get in each phase, and that no secret is without one."""

import pytest

from platformctl.site import rotations, secrets
from platformctl.site.rotations import BY_NAME, SECRETS, Phase, SiteSecret, accepted

OTHERS = {"secret_other": "stays"}


def vault(secret: SiteSecret) -> dict[str, str]:
    return {**OTHERS, **secret.make("site")}


def test_every_secret_of_a_site_has_a_rotation() -> None:
    rotated = [variable for secret in SECRETS for variable in secret.variables]
    assert set(secrets.NAMES) <= set(rotated)
    assert len(rotated) == len(set(rotated))
    assert [secret.name for secret in SECRETS] == list(BY_NAME)
    assert all(secret.purpose and secret.users and secret.notice for secret in SECRETS)


@pytest.mark.parametrize("secret", SECRETS, ids=lambda secret: secret.name)
def test_a_rotation_ends_with_new_values_and_nothing_else(secret: SiteSecret) -> None:
    held = old = vault(secret)
    phases: list[Phase | None] = []
    while not phases or phases[-1] is not None:
        held = secret.advanced(held, "site")
        phases.append(secret.phase(held))
    assert phases == (
        [Phase.NEXT, Phase.PREVIOUS, Phase.RETIRED, None] if secret.overlap else [Phase.RETIRED, None]
    )
    assert held.keys() == old.keys()
    assert {name for name in held if held[name] == old[name]} == set(OTHERS)


@pytest.mark.parametrize("secret", SECRETS, ids=lambda secret: secret.name)
def test_the_old_value_is_there_until_the_end_and_fits_hosts_that_have_it(secret: SiteSecret) -> None:
    held = old = vault(secret)
    variable = secret.variables[0]
    held = secret.advanced(held, "site")
    while secret.phase(held):
        assert old[variable] in accepted(variable, held)
        held = secret.advanced(held, "site")
    assert accepted(variable, held) == (held[variable],)


def test_the_new_value_is_used_only_after_all_hosts_know_it() -> None:
    secret = BY_NAME["kubernetes_encryption_key"]
    key = rotations.ENCRYPTION_KEY
    before = {key: "old"}  # its name is the one of sites that never rotated
    known = secret.advanced(before, "site")
    assert (known[key], f"{key}_name" in known) == ("old", False)
    used = secret.advanced(known, "site")
    assert used[key] == known[f"{key}_next"]
    assert used[f"{key}_name"] == known[f"{key}_name_next"]
    assert used[f"{key}_previous"] == "old"
    assert f"{key}_name_previous" not in used
    retired = secret.advanced(used, "site")
    assert f"{key}_previous" not in retired
    assert retired[f"{key}_retired"] == "old"


def test_encryption_keys_have_names_of_their_own() -> None:
    make = BY_NAME["kubernetes_encryption_key"].make
    names = {make("site")[f"{rotations.ENCRYPTION_KEY}_name"] for _ in range(10)}
    assert len(names | {"site"}) == 11
