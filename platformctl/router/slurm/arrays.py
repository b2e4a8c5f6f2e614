"""What the router remembers of Slurm's arrays while they run.

slurmctld forgets each element some minutes after its end (MinJobAge), and its list of states names an
element by an id of its own, without the array's. So elements that have ended are kept here, and whose
they are. All of it can be lost: what nothing tells any more is asked of the accounting database.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from zlib import crc32

from platformctl.router.slurm.states import Run
from platformctl.vocabulary import FINAL

# A digest of more elements than this changes at most once a second for each such number of them: an
# array of 1,000 is read (8 kB an element) every five seconds while its elements come and go.
_AT_ONCE = 200


@dataclass
class _Array:
    """indices: all that were ever seen. ended: by index. own: ids of the elements that have one.

    complete: elements that ended before the first poll, if there were any, are among them.
    """

    indices: set[int] = field(default_factory=set)
    ended: dict[int, Run] = field(default_factory=dict)
    own: set[int] = field(default_factory=set)
    complete: bool = False
    digest: str = ""
    until: float = 0.0


class Arrays:
    """Arrays by id."""

    def __init__(self) -> None:
        self._arrays: dict[int, _Array] = {}
        self._owners: dict[int, int] = {}

    def __bool__(self) -> bool:
        """Whether there are any."""
        return bool(self._arrays)

    def knows(self, job_id: int) -> bool:
        """Whether nothing of the array can have been forgotten before it was seen."""
        array = self._arrays.get(job_id)
        return array is not None and array.complete

    def complete(self, job_id: int) -> None:
        """Every element of the array was told once, by slurmctld or by the accounting database."""
        self._arrays[job_id].complete = True

    def merge(self, job_id: int, runs: Iterable[Run], own: Iterable[int]) -> tuple[list[Run], bool]:
        """All runs of an array, those included that the source has forgotten; whether some are still missing.

        runs: what slurmctld or the accounting database tells now. own: the ids of elements that have one.
        """
        array = self._arrays.setdefault(job_id, _Array())
        for element in own:
            self._owners[element] = job_id
            array.own.add(element)
        found: list[Run] = []
        told: set[int] = set()
        for run in runs:
            fresh = tuple(index for index in run.indices if index not in told)
            told.update(fresh)
            if fresh:
                found.append(replace(run, indices=fresh))
            if run.phase in FINAL:
                array.ended.update((index, replace(run, indices=(index,))) for index in fresh)
        found += [run for index, run in array.ended.items() if index not in told]
        array.indices |= told
        return found, bool(array.indices - told - array.ended.keys())

    def forget(self, job_id: int) -> None:
        """The array has ended, or is gone."""
        array = self._arrays.pop(job_id, None)
        for element in array.own if array else ():
            self._owners.pop(element, None)

    def digests(self, states: Mapping[str, str], now: float) -> dict[str, str]:
        """From the states of all jobs and elements, one for each job: an array's changes with any element's.

        An element that just got an id of its own is nobody's until its array is read: but with that the
        array has one element less that waits.
        """
        found: dict[str, str] = {}
        elements: dict[int, list[str]] = {}
        for key, state in states.items():
            own, is_element, index = key.partition("_")
            if is_element:
                job_id = int(own)
                elements.setdefault(self._owners.get(job_id, job_id), []).append(f"{index}={state}")
            else:
                found[own] = state
        for job_id, some in elements.items():
            found[str(job_id)] = self._digest(job_id, some, now)
        return found

    def _digest(self, job_id: int, elements: list[str], now: float) -> str:
        array = self._arrays.get(job_id)
        if array and array.digest and now < array.until:
            return array.digest
        digest = f"array:{crc32(','.join(sorted(elements)).encode()):08x}"
        if array:
            array.digest, array.until = digest, now + len(elements) // _AT_ONCE
        return digest
