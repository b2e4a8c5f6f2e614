"""From a file to the Jobs that are handed to the API server."""

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from platformctl.jobs.manifest import (
    NotAManifestError,
    as_yaml,
    from_manifest,
    from_script,
    name_stem,
    override,
)

HEAD = "apiVersion: kfoundry.io/v1alpha1\nkind: Job\n"


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        ("", {"generateName": "my-work-"}),
        ("metadata: {}", {"generateName": "my-work-"}),
        ("metadata: {name: pi}", {"name": "pi"}),
        ("metadata: {generateName: pi-}", {"generateName": "pi-"}),
        ("metadata: {name: pi, namespace: team}", {"name": "pi", "namespace": "team"}),
        ("metadata: nonsense", "nonsense"),
    ],
)
def test_only_a_job_without_a_name_gets_one(metadata: str, expected: object) -> None:
    (job,) = from_manifest(HEAD + metadata, "My work")
    assert job["metadata"] == expected


def test_documents_and_lists_are_taken_in_their_order() -> None:
    item = "  - {apiVersion: kfoundry.io/v1alpha1, kind: Job, metadata: {name: %s}}\n"
    listed = "kind: List\nitems:\n" + item % "b" + item % "c"
    text = f"{HEAD}metadata: {{name: a}}\n---\n{listed}---\n\n---\n{HEAD}metadata: {{name: d}}\n"
    assert [job["metadata"]["name"] for job in from_manifest(text, "x")] == ["a", "b", "c", "d"]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "holds no Job"),
        ("kind: List\nitems: []", "holds no Job"),
        ("just words", "something else than Kubernetes objects"),
        ("{", "is not YAML"),
        ("apiVersion: batch/v1\nkind: Job", "holds a Job of batch/v1; only a Job of kfoundry.io/v1alpha1"),
        ("apiVersion: kfoundry.io/v1alpha1\nkind: Queue", "holds a Queue of kfoundry.io/v1alpha1"),
    ],
)
def test_what_is_no_job_is_named(text: str, why: str) -> None:
    with pytest.raises(NotAManifestError, match=why):
        from_manifest(text, "x")


def test_an_option_wins_over_the_file_and_what_is_not_given_stays() -> None:
    job = from_script("#!/bin/sh\n", "x") | {"spec": {"script": "#!/bin/sh\n", "queue": "a", "nodes": 2}}
    changed = override(job, "pi", {"queue": "b", "nodes": None, "walltime": ""})
    assert changed["metadata"] == {"name": "pi"}
    assert changed["spec"] == {"script": "#!/bin/sh\n", "queue": "b", "nodes": 2}
    assert job["metadata"] == {"generateName": "x-"}
    assert override(job, "", {})["metadata"] == {"generateName": "x-"}


def test_yaml_for_people_keeps_the_order_the_lines_and_the_letters() -> None:
    shown = as_yaml({"b": "größer", "a": "#!/bin/sh\ndate\n"})
    assert shown == "b: größer\na: |\n  #!/bin/sh\n  date\n"


@pytest.mark.parametrize(
    ("text", "stem"), [("Träning 2!", "tr-ning-2"), ("...", "job"), ("a" * 60, "a" * 40), ("-a-", "a")]
)
def test_names_that_kubernetes_takes(text: str, stem: str) -> None:
    assert name_stem(text) == stem


TEXTS = [
    "a\n", "a\nb", "a \n\tb\n", "  a\nb\n", "\n\na\n", "a\n\n\n", "\n", "a\n  \nb\n", "x\n#y: \n",
    " \n", "a\n ", "x" * 300 + "\ny\n", "---\n...\n", "BLOCK_0\n", "BLOCK_0", "\u2028\n", "a\r\n",
    "\ue000\n", "\x07\n", "-\n- a\n",
]  # fmt: skip


@pytest.mark.parametrize("text", TEXTS, ids=ascii)
def test_a_text_of_several_lines_is_written_as_it_is(text: str) -> None:
    for document in (
        {"k": {"script": text}},
        [{"a": [text, {"b": text}]}],
        {"a": [[text]]},
        {"a": [text, 1]},
    ):
        assert yaml.safe_load(as_yaml(document)) == document


TEXT = st.text("ab \n\t#:-|", max_size=12)
DOCUMENTS = st.recursive(TEXT, lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from("xy"), inner))


@given(DOCUMENTS)
def test_any_document_is_read_back(document: object) -> None:
    assert yaml.safe_load(as_yaml(document)) == document
