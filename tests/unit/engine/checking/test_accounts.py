"""Accounts of all hosts, judged together."""

from typing import Any

from platformctl.engine.checking import accounts
from platformctl.engine.checking.findings import Level, Subject

NOTHING: dict[str, Any] = {
    "conflicts": [],
    "changes": {},
    "leaving": [],
    "busy": {},
    "numbers": {"slurm": None},
    "taken": {"64030": []},
}


def subject(name: str, group: str = "slurm_node", agreed: tuple[str, ...] = (), **survey: Any) -> Subject:
    probe = {"accounts": {**NOTHING, **survey}}
    return Subject(name, "", frozenset({group}), "s", probe, agreed=frozenset(agreed))


def judged(*subjects: Subject) -> list[tuple[str, str, Level, str]]:
    return [(one.host, one.check, one.level, one.found) for one in accounts.judge(subjects)]


def test_hosts_without_accounts_of_others_say_nothing() -> None:
    assert judged(subject("a"), subject("b")) == []


def test_conflicts_of_all_hosts_are_named_at_once() -> None:
    rows = judged(
        subject("a", conflicts=["uid 1 of x belongs to y on this host"]), subject("b", conflicts=["z"])
    )
    assert [(host, level) for host, _, level, _ in rows] == [("a", Level.ERROR), ("b", Level.ERROR)]


def test_a_change_of_who_was_there_is_an_error_until_it_is_accepted_by_name() -> None:
    changes = {"account:carol": ["carol (uid 1000) is there already", "joins group physics"]}
    (refused,) = accounts.judge([subject("a", changes=changes)])
    assert (refused.check, refused.level, refused.names) == ("takeover", Level.ERROR, ("account:carol",))
    assert "--yes account:carol" in refused.remedy
    (accepted,) = accounts.judge([subject("a", changes=changes, agreed=("account:carol",))])
    assert accepted.level is Level.WARNING


def test_slurm_must_have_one_number_on_all_hosts_of_slurm() -> None:
    wrong = subject("b", numbers={"slurm": [5000, 5000]})
    ((host, check, level, words),) = judged(subject("a"), wrong, subject("c"))
    assert (host, check, level) == ("b", "system users", Level.ERROR)
    assert words == "slurm has the uid 5000, but 64030 on a"
    # Elsewhere the number is nobody's matter.
    assert judged(subject("a"), subject("b", "kubernetes_node", numbers={"slurm": [5000, 5000]})) == []


def test_a_host_whose_package_would_take_another_number_is_told_to_make_the_user() -> None:
    there = {"slurm": [200, 200]}
    ((host, _, _, words),) = judged(subject("a", numbers=there), subject("b", numbers=there), subject("c"))
    assert (host, words) == ("c", "slurm would get the uid 64030 from its package, but 200 on a")


def test_the_number_of_the_package_must_be_free() -> None:
    ((_, _, _, words),) = judged(subject("a", taken={"64030": ["zoe"]}))
    assert words == "uid 64030, which the package of slurm takes, belongs to zoe"
    assert judged(subject("a", taken={"64030": ["slurm"]}, numbers={"slurm": [64030, 64030]})) == []
