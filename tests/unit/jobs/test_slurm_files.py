"""Names of output files: Slurm's patterns with their values."""

import pytest

from platformctl.jobs import slurm
from platformctl.jobs.slurm_files import of_element, of_job, on_node, unknown, with_ids
from tests.unit.jobs.test_translation import ALICE, job


@pytest.mark.parametrize(
    ("pattern", "name"),
    [
        ("/h/%x-%j.out", "/h/train-17.out"),
        ("/h/%6j_%A_%J", "/h/000017_17_17"),
        ("/h/%u/%s.%t.%3n", "/h/alice/batch.0.000"),
        ("/h/100%%.out", "/h/100%.out"),
        ("/h/%%j", "/h/%j"),
        ("/h/%q%", "/h/%q%"),
        ("/h/a\\%j\\\\", "/h/a%j\\"),
        ("/h/%99j", "/h/0000000017"),
    ],
)
def test_the_file_of_a_job(pattern: str, name: str) -> None:
    assert of_job(pattern, "train", "alice", "17", array=False) == name


def test_the_file_of_an_element_is_known_when_its_index_is() -> None:
    kept = of_job("/h/%x/%A_%4a_%b%%%%a.out", "train", "alice", "17", array=True)
    assert kept == "/h/train/17_%4a_%b%%%%a.out"
    assert of_element(kept, 13) == "/h/train/17_0013_3%%a.out"
    assert not unknown(kept)
    assert unknown(of_job("/h/%j.out", "train", "alice", "17", array=True))


def test_ids_are_filled_in_before_the_index() -> None:
    assert with_ids("/h/%6A_%a%%A.%j", "17") == "/h/000017_%a%%A.%j"
    assert of_element(with_ids("/h/%A_%a%%A.%J", "17", "19"), 3) == "/h/17_3%A.19"


def test_the_node_is_known_when_the_job_runs() -> None:
    kept = of_job("/h/%N-%j%%.out", "train", "alice", "17", array=False)
    assert on_node(kept, "node03", array=False) == "/h/node03-17%.out"


@pytest.mark.parametrize(
    ("block", "path"),
    [
        ({}, ""),
        ({"output": "logs/%j.out"}, "/home/alice/logs/17.out"),
        ({"output": "logs/%x.out", "chdir": "/scratch/run", "jobName": "fit"}, "/scratch/run/logs/fit.out"),
        ({"output": "/scratch/o", "chdir": "run"}, "/scratch/o"),
        ({"output": "None"}, "/dev/null"),
    ],
)
def test_the_file_that_a_job_names(block: dict[str, str], path: str) -> None:
    spec = job(script="#!/bin/sh\n", slurm=block)
    assert slurm.named_output(spec, ALICE, "train-x7k2p", "17") == path


@pytest.mark.parametrize("array", [True, False])
def test_a_backslash_turns_off_patterns_for_good(array: bool) -> None:
    kept = of_job("/h/%2N%%\\q%a", "train", "alice", "7", array=array)
    kept = on_node(kept, "node03", array=array) if "%N" in kept else kept
    assert (of_element(kept, 3) if array else kept) == "/h/%2N%%q%a"
