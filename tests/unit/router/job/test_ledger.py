"""What users have used lately, and whose turn is first because of it."""

import pytest

from platformctl.router.job.ledger import Ledger


class Clock:
    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


def test_what_was_used_fades() -> None:
    clock = Clock()
    ledger = Ledger(half_life=100, clock=clock)
    ledger.charge("alice", 800)
    ledger.charge("alice", 400, at=clock.now - 100)
    assert ledger.usage("alice") == 1000
    clock.now += 100
    assert ledger.usage("alice") == pytest.approx(500)
    ledger.charge("alice", 1)
    assert ledger.usage("alice") == pytest.approx(501)
    assert ledger.usage("bob") == 0


def test_what_runs_counts_until_it_ends() -> None:
    clock = Clock()
    ledger = Ledger(clock=clock)
    for _ in range(3):
        ledger.run("u", "alice", 2500, clock.now - 10)
    ledger.run("v", "alice", 1000, clock.now)
    assert ledger.usage("alice") == 25
    clock.now += 10
    assert ledger.usage("alice") == 60
    ledger.stop("u")
    assert ledger.usage("alice") == 10
    ledger.stop("v")
    ledger.stop("v")
    assert ledger.usage("alice") == 0


def test_a_fair_share_is_one_unused_and_a_half_for_the_average() -> None:
    ledger = Ledger(clock=Clock())
    assert ledger.fair_share("alice") == 1
    ledger.charge("alice", 100)
    assert ledger.fair_share("alice") == 0.5
    ledger.charge("bob", 300)
    assert ledger.fair_share("carol") == 1
    assert 0 < ledger.fair_share("bob") < 0.5 < ledger.fair_share("alice") < 1
