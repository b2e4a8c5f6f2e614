"""Options of a command line on Jobs of every form."""

from typing import Any

import pytest

from platformctl.jobs.command_line import UnclearError
from platformctl.jobs.model import JobSpec
from platformctl.jobs.parse import parse
from platformctl.jobs.quoting import expand_references
from platformctl.jobs.request import Request, amounts_of, applied, from_request

SCRIPT = {"metadata": {"generateName": "x-"}, "spec": {"script": "#!/bin/sh\ndate\n"}}


def container(**fields: Any) -> dict[str, Any]:
    pod = {"containers": [{"name": "a", "image": "b:1", **fields}]}
    return {"metadata": {"name": "x"}, "spec": {"template": {"spec": pod}}}


def first(job: dict[str, Any]) -> dict[str, Any]:
    """The container of a Job that is as it must be."""
    found = parse(job["spec"])
    assert isinstance(found, JobSpec), found
    container: dict[str, Any] = job["spec"]["template"]["spec"]["containers"][0]
    return container


def test_a_command_in_an_image_is_a_container() -> None:
    job = from_request(
        Request(
            image="registry.example.org/tools/perl:5@sha256:0",
            arguments=("perl", "-E", "say 1"),
            amounts=amounts_of("2", "1Gi", 1),
            variables=(("SEED", "7"),),
        )
    )
    assert job["metadata"] == {"generateName": "perl-"}
    job["spec"]["template"]["spec"]["containers"][0]["image"] = "perl:5"
    amounts = {"cpu": "2", "memory": "1Gi", "nvidia.com/gpu": "1"}
    assert first(job) == {
        "name": "main",
        "image": "perl:5",
        "command": ["perl", "-E", "say 1"],
        "env": [{"name": "SEED", "value": "7"}],
        "resources": {"requests": amounts, "limits": amounts},
    }
    # Without words the image says what it runs.
    assert "command" not in first(from_request(Request(image="perl:5")))


def test_a_containers_words_stay_as_typed_but_for_references() -> None:
    words = ("sh", "-c", "echo $$ $HOME $(date)", "$(KFOUNDRY_INDEX)")
    found = first(from_request(Request(image="c", arguments=words, variables=(("A", "$$"),))))
    values = {"KFOUNDRY_INDEX": "3", "HOME": "/home/alice"}
    assert [expand_references(word, values) for word in found["command"]] == [*words[:3], "3"]
    assert expand_references(found["env"][0]["value"], {}) == "$$"


def test_a_command_without_an_image_is_a_script() -> None:
    job = from_request(Request(arguments=("/usr/bin/make", "-j4"), amounts={"cpu": "4"}))
    assert job["metadata"] == {"generateName": "make-"}
    assert job["spec"] == {"script": "#!/bin/sh\nexec /usr/bin/make -j4\n", "resources": {"cpu": "4"}}
    with pytest.raises(UnclearError, match="name a FILE, or a command after --"):
        from_request(Request())


def test_options_complete_a_script() -> None:
    job = applied(
        {**SCRIPT, "spec": {**SCRIPT["spec"], "dependsOn": [{"name": "a"}], "resources": {"cpu": 1}}},
        Request(
            name="now",
            fields={"array": "0-3", "retries": 0},
            amounts={"cpu": "0", "memory": "1Gi"},
            after=("b", "c:failed"),
            labels={"project": "wind"},
            variables=(("A", "1"),),
            arguments=("x y",),
        ),
    )
    assert job["metadata"] == {"name": "now", "labels": {"project": "wind"}}
    assert job["spec"] == {
        "script": "#!/bin/sh\ndate\n",
        "args": ["x y"],
        "slurm": {"environment": {"A": "1"}},
        "dependsOn": [{"name": "a"}, {"name": "b"}, {"name": "c", "when": "failed"}],
        "resources": {"memory": "1Gi"},
        "array": "0-3",
        "retries": 0,
    }


def test_arguments_and_variables_replace_those_of_a_script() -> None:
    spec = {**SCRIPT["spec"], "args": ["a"], "slurm": {"qos": "long", "environment": {"A": "1", "B": "2"}}}
    job = applied({**SCRIPT, "spec": spec}, Request(variables=(("A", "x 'y'\n$Z"),), arguments=("", "-n")))
    assert job["spec"] == {
        "script": SCRIPT["spec"]["script"],
        "args": ["", "-n"],
        "slurm": {"qos": "long", "environment": {"A": "x 'y'\n$Z", "B": "2"}},
    }
    with pytest.raises(UnclearError, match="'A-B' is not the name of a variable"):
        applied(SCRIPT, Request(variables=(("A-B", "1"),)))
    for block in ("x", {"environment": ["x"]}):
        wrong = applied({**SCRIPT, "spec": {**spec, "slurm": block}}, Request(variables=(("A", "1"),)))
        assert isinstance(parse(wrong["spec"]), list)


def test_options_win_over_a_manifests_container() -> None:
    given = container(
        env=[{"name": "A", "value": "1"}, {"name": "B", "value": "2"}],
        resources={"requests": {"cpu": "1"}, "limits": {"memory": "1Gi"}},
    )
    job = applied(given, Request(image="c:2", amounts={"cpu": "4"}, variables=(("A", "3"), ("C", "4"))))
    found = first(job)
    assert found["image"] == "c:2"
    assert found["env"] == [
        {"name": "B", "value": "2"},
        {"name": "A", "value": "3"},
        {"name": "C", "value": "4"},
    ]
    assert found["resources"] == {"requests": {"cpu": "4"}, "limits": {"cpu": "4", "memory": "1Gi"}}
    # The manifest itself stays as it was read.
    assert first(given)["image"] == "b:1"


@pytest.mark.parametrize(
    ("job", "asked", "words"),
    [
        (SCRIPT, Request(image="c"), "a script runs in the site's script image"),
        (container(), Request(arguments=("x",)), "the manifest says what its container runs"),
        ({"spec": {"interactive": True}}, Request(arguments=("x",)), "nothing that takes arguments"),
        ({"spec": {"template": {}}}, Request(image="c"), "must have one container"),
        (
            {"spec": {"template": {"spec": {"containers": [1]}}}},
            Request(image="c"),
            "must have one container",
        ),
        ({"spec": "x"}, Request(), "must be mappings"),
        ({"metadata": "x"}, Request(), "must be mappings"),
    ],
)
def test_what_has_no_place_or_two_meanings_is_refused(
    job: dict[str, Any], asked: Request, words: str
) -> None:
    with pytest.raises(UnclearError, match=words):
        applied(job, asked)


@pytest.mark.parametrize("resources", [[1], "x", {"cpu": []}])
def test_what_a_manifest_has_wrong_is_left_to_the_check(resources: object) -> None:
    for job in (
        container(resources={"limits": resources}),
        {"spec": {**SCRIPT["spec"], "resources": resources}},
    ):
        assert isinstance(parse(applied(job, Request(amounts={"memory": "1Gi"}))["spec"]), list)
