from platformctl.jobs.model import Refusal, Target, User
from platformctl.router import status
from platformctl.router.backend import Phase, Seen
from platformctl.router.resource import JobResource

ALICE = User("alice", 10001, 10001, (), None, "/home/alice")


def job(**status_fields: object) -> JobResource:
    return JobResource({"metadata": {"generation": 3}, "status": status_fields})


def conditions(changes: dict[str, object]) -> dict[str, tuple[str, str]]:
    return {item["type"]: (item["status"], item["reason"]) for item in changes["conditions"]}  # type: ignore[attr-defined]


def test_a_refusal_names_every_reason_and_ends_the_job() -> None:
    changes = status.refused(job(), [Refusal("spec.a", "x"), Refusal("spec.b", "y")])
    assert (changes["phase"], changes["reason"]) == (Phase.REFUSED, "spec.a: x; spec.b: y")
    assert conditions(changes) == {"Accepted": ("False", "Refused"), "Finished": ("True", "Refused")}
    assert changes["completionTime"]


def test_a_thousand_refusals_stay_short() -> None:
    changes = status.refused(job(), [Refusal(f"spec.x{n}", "y" * 100) for n in range(1000)])
    assert len(changes["reason"]) <= 1024
    assert changes["conditions"][0]["message"].endswith("and 968 more")


def test_conditions_keep_their_time_until_they_flip() -> None:
    old = {
        "type": "Accepted",
        "status": "True",
        "reason": "R",
        "message": "",
        "lastTransitionTime": "2020-01-01T00:00:00Z",
    }
    changes = status.decided(job(conditions=[old]), Target.SLURM, "why", ALICE, 1)
    accepted = next(item for item in changes["conditions"] if item["type"] == "Accepted")
    assert accepted["lastTransitionTime"] == "2020-01-01T00:00:00Z"
    assert accepted["observedGeneration"] == 3
    flipped = status.refused(job(conditions=[old]), [Refusal("spec", "x")])
    assert flipped["conditions"][0]["lastTransitionTime"] != "2020-01-01T00:00:00Z"


def test_what_is_known_already_is_not_written_again() -> None:
    seen = Seen(held=False, phase=Phase.RUNNING, started=1, nodes="n1", output="/x")
    first = job()
    changes = status.changed(first, status.followed(first, seen))
    second = job(**changes)
    assert status.changed(second, status.followed(second, seen)) == {}


def test_a_back_end_that_answers_again_loses_its_condition() -> None:
    away = status.unavailable(job(), "slurmctld is away")
    assert conditions(away) == {"Reachable": ("False", "BackendUnavailable")}
    back = status.followed(job(**away), Seen(held=False, phase=Phase.RUNNING))
    assert conditions(back) == {}
    assert back["reason"] == ""
