"""What the router remembers of Slurm's arrays while they run.

slurmctld forgets each element some minutes after its end (MinJobAge), and its list of states names an element
by an id of its own, without the array's id. So ended elements, and the array of each element, are kept here.
This memory may be lost: what slurmctld has forgotten is then read from the accounting database.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from zlib import crc32

from platformctl.router.slurm.states import Run
from platformctl.vocabulary import FINAL

# Reading costs 8 kB an element, so the digest of a large array changes at most once in (elements / this
# number) seconds: an array of 1,000 is read every five seconds while its elements change.
_AT_ONCE = 200


@dataclass
class _Array:
    """One array.

    indices: all that were ever seen. ended: runs by index. own: ids of the elements that have one.
    complete: elements that ended before the first poll are included.
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
        """Whether all elements are known, also those that ended before the first poll."""
        array = self._arrays.get(job_id)
        return array is not None and array.complete

    def complete(self, job_id: int) -> None:
        """Note that slurmctld or the accounting database has listed every element of the array."""
        self._arrays[job_id].complete = True

    def merge(self, job_id: int, runs: Iterable[Run], own: Iterable[int]) -> tuple[list[Run], bool]:
        """All runs of an array, with those that the source has forgotten, and whether some are still missing.

        runs: what slurmctld or the accounting database lists now. own: the ids of elements that have one.
        """
        array = self._arrays.setdefault(job_id, _Array())
        for element in own:
            self._owners[element] = job_id
            array.own.add(element)
        merged: list[Run] = []
        told: set[int] = set()
        for run in runs:
            fresh = tuple(index for index in run.indices if index not in told)
            told.update(fresh)
            if fresh:
                merged.append(replace(run, indices=fresh))
            if run.phase in FINAL:
                array.ended.update((index, replace(run, indices=(index,))) for index in fresh)
        merged += [run for index, run in array.ended.items() if index not in told]
        array.indices |= told
        return merged, bool(array.indices - told - array.ended.keys())

    def forget(self, job_id: int) -> None:
        """Forget an array that has ended or is gone."""
        array = self._arrays.pop(job_id, None)
        for element in array.own if array else ():
            self._owners.pop(element, None)

    def digests(self, states: Mapping[str, str], now: float) -> dict[str, str]:
        """One state for each job, from those of all jobs and elements; an array's changes with any element.

        An element that just got an id of its own belongs to no array until the array is read again. But then
        the array's waiting elements are one less, so its digest changes too.
        """
        digests: dict[str, str] = {}
        elements: dict[int, list[str]] = {}
        for key, state in states.items():
            own, is_element, index = key.partition("_")
            if is_element:
                job_id = int(own)
                elements.setdefault(self._owners.get(job_id, job_id), []).append(f"{index}={state}")
            else:
                digests[own] = state
        for job_id, some in elements.items():
            digests[str(job_id)] = self._digest(job_id, some, now)
        return digests

    def _digest(self, job_id: int, elements: list[str], now: float) -> str:
        array = self._arrays.get(job_id)
        if array and array.digest and now < array.until:
            return array.digest
        digest = f"array:{crc32(','.join(sorted(elements)).encode()):08x}"
        if array:
            array.digest, array.until = digest, now + len(elements) // _AT_ONCE
        return digest
