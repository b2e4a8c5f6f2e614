"""The parts of a node: its CPUs by the kernel's numbers and by Slurm's, and the kubelet's reservation."""

import pytest

from platformctl.site import processors
from platformctl.site.processors import Processor, ProcessorError

# Two sockets of two cores with two threads, numbered as Linux usually does: first threads come first.
THREADED = tuple(Processor(cpu, cpu % 4, (cpu % 4) // 2) for cpu in range(8))
PLAIN = tuple(Processor(cpu, cpu, 0) for cpu in range(4))


@pytest.mark.parametrize(("text", "expected"), [("0", (0,)), ("0-2,5", (0, 1, 2, 5)), ("3, 1", (1, 3))])
def test_a_list_of_cpus(text: str, expected: tuple[int, ...]) -> None:
    assert processors.cpu_list(text) == expected
    assert processors.cpu_list(processors.cpu_text(expected)) == expected


@pytest.mark.parametrize("text", ["", "a", "3-1", "1-", "0-99999", "-1", "1,,2"])
def test_what_is_no_list_of_cpus(text: str) -> None:
    with pytest.raises(ProcessorError):
        processors.cpu_list(text)


def test_what_lscpu_prints() -> None:
    text = "# a comment\n0,0,0\n1,1,0\n2,0,1\n"
    assert processors.processors(text) == (Processor(0, 0, 0), Processor(1, 1, 0), Processor(2, 0, 1))
    for wrong in ("nonsense\n", "1,2\n"):
        with pytest.raises(ProcessorError):
            processors.processors(wrong)


def test_slurm_counts_thread_by_thread_and_the_kernel_does_not() -> None:
    # Cores of the first socket are CPUs 0+4 and 1+5: Slurm's 0 to 3.
    assert processors.kept_from_slurm("0,1,4,5", THREADED) == (4, 5, 6, 7)
    assert processors.kept_from_slurm("2,6", THREADED) == (0, 1, 2, 3, 6, 7)
    assert processors.kept_from_slurm("0-2", PLAIN) == (3,)


@pytest.mark.parametrize(
    ("cpus", "there", "why"),
    [
        ("0-1", THREADED, "0,4 are one core"),
        ("0-9", PLAIN, "no CPU 4-9; it has 0-3"),
        ("0-3", PLAIN, "no CPU would be left"),
    ],
)
def test_cpus_that_cannot_be_divided_so(cpus: str, there: tuple[Processor, ...], why: str) -> None:
    with pytest.raises(ProcessorError, match=why):
        processors.kept_from_slurm(cpus, there)


def test_the_shape_of_a_host() -> None:
    assert processors.shape(THREADED) == {"sockets": 2, "cores_per_socket": 2, "threads_per_core": 2}
    assert processors.shape(PLAIN) == {"sockets": 1, "cores_per_socket": 4, "threads_per_core": 1}
    assert processors.shape((*PLAIN, Processor(4, 4, 1))) == {}
    assert processors.shape((*PLAIN, Processor(4, 0, 0))) == {}


def test_numbers_of_some_cpus_by_slurm() -> None:
    assert processors.slurm_numbers("0,4", THREADED) == (0, 1)
    assert processors.slurm_numbers("3", PLAIN) == (3,)
    with pytest.raises(ProcessorError, match="0,4 are one core"):
        processors.slurm_numbers("0", THREADED)


# One socket of two NUMA nodes and four caches; CPUs of the second node have the lower numbers.
PARTS = [(1, 2), (0, 0), (1, 3), (0, 1)]
NESTED = "".join(
    f"{cpu},{cpu},0,{node},{cpu}:{cpu}:{cpu}:{cache}\n" for cpu, (node, cache) in enumerate(PARTS)
)


@pytest.mark.parametrize(
    ("counted", "sockets", "numbers"), [("socket", 1, (1,)), ("numa_node", 2, (2,)), ("l3cache", 4, (1,))]
)
def test_what_slurm_counts_as_a_socket_decides_its_numbers(
    counted: str, sockets: int, numbers: tuple[int, ...]
) -> None:
    for text in (NESTED, NESTED.replace(":", ",")):
        there = processors.processors(text, counted)
        assert processors.shape(there)["sockets"] == sockets
        assert processors.slurm_numbers("1", there) == numbers


def test_only_a_shared_host_with_shares_is_divided() -> None:
    assert processors.is_split({"node_owner": "shared", "node_slurm_cpus": "0"})
    assert not processors.is_split({"node_owner": "shared"})
    assert not processors.is_split({"node_owner": "slurm", "node_slurm_cpus": "0"})
