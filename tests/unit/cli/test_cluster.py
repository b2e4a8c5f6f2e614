"""Which cluster is asked, and what a person is told when none can be."""

from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

from platformctl.cli.cluster import Access, jobs_of
from platformctl.cli.job import app
from platformctl.clients.jobs import NoJobsError, NoLogsError
from platformctl.clients.kubernetes import (
    AlreadyExistsError,
    ApiError,
    ConflictError,
    NotFoundError,
    UnavailableError,
)
from platformctl.errors import ExitCode, PlatformError
from platformctl.paths import data_dir

CONFIG = """
current-context: c
clusters: [{name: k, cluster: {server: "http://127.0.0.1:9"}}]
contexts: [{name: c, context: {cluster: k, user: u, namespace: team1}}, {name: d, context: {cluster: k}}]
users: [{name: u, user: {token: t}}]
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "config").write_text(CONFIG)
    return tmp_path / "config"


async def test_the_namespace_is_the_options_or_the_contexts(config: Path) -> None:
    for access, expected in (
        (Access(config), "team1"),
        (Access(config, "d"), "default"),
        (Access(config, "", "team2"), "team2"),
    ):
        async with jobs_of(access) as jobs:
            assert jobs.namespace == expected


def test_without_a_kubeconfig_a_person_is_told_whom_to_ask(
    run: Callable[..., Result], tmp_path: Path
) -> None:
    error = run("job", "list", env={"KUBECONFIG": str(tmp_path / "none")}).exception
    assert isinstance(error, PlatformError)
    assert error.code is ExitCode.INVALID
    assert error.what == f"no cluster to connect to: the file {tmp_path / 'none'} does not exist"
    assert error.where == str(tmp_path / "none")
    assert "platformctl kubeconfig" in error.next


@pytest.mark.parametrize(
    ("raised", "code", "words"),
    [
        (UnavailableError(0, "Unreachable", "no route"), ExitCode.UNREACHABLE, "does not answer: no route"),
        (UnavailableError(429, "TooMany", "slow down"), ExitCode.UNREACHABLE, "slow down"),
        (ApiError(401, "Unauthorized", ""), ExitCode.REFUSED, "credentials"),
        (ApiError(403, "Forbidden", "may not"), ExitCode.REFUSED, "refuses: may not"),
        (NotFoundError(404, "NotFound", "x not found"), ExitCode.FAILED, "x not found"),
        (AlreadyExistsError(409, "AlreadyExists", "is there"), ExitCode.FAILED, "is there"),
        (ApiError(400, "BadRequest", "unable to parse requirement: x"), ExitCode.INVALID, "label selector"),
        (ApiError(422, "Invalid", "spec.tasks"), ExitCode.INVALID, "rejects the request: spec.tasks"),
        (ConflictError(409, "Conflict", "changed"), ExitCode.FAILED, "says: changed"),
        (NoJobsError("x"), ExitCode.FAILED, "knows no Jobs"),
        (NoLogsError("x"), ExitCode.FAILED, "does not serve the output"),
    ],
)
async def test_errors_of_the_cluster_are_told_with_place_and_code(
    config: Path, raised: Exception, code: ExitCode, words: str
) -> None:
    with pytest.raises(PlatformError, match=words) as caught:
        async with jobs_of(Access(config)):
            raise raised
    assert caught.value.code is code
    assert "127.0.0.1:9" in caught.value.where


def test_every_command_is_documented() -> None:
    page = (data_dir() / "docs" / "job-command.md").read_text()
    names = [command.name or command.callback.__name__ for command in app.registered_commands]  # type: ignore[union-attr]
    assert "submit" in names
    for name in names:
        assert f"`platformctl job {name}" in page, name


async def refused(raised: Exception, config: Path) -> PlatformError:
    with pytest.raises(PlatformError) as caught:
        async with jobs_of(Access(config)):
            raise raised
    return caught.value


async def test_what_a_job_does_not_have_is_looked_up_at_the_job(config: Path) -> None:
    missing = await refused(NotFoundError(404, "NotFound", 'jobs.kfoundry.io "x" not found'), config)
    assert missing.next == "platformctl job list --all -n team1"
    index = await refused(NotFoundError(404, "NotFound", "there is no file /home/a/9.out"), config)
    assert index.next == "see what the Job has: platformctl job describe NAME -n team1"


async def test_an_authority_that_does_not_fit_is_no_reason_to_try_again(config: Path) -> None:
    said = (
        "ClientConnectorCertificateError: [SSL: CERTIFICATE_VERIFY_FAILED] self-signed certificate in chain"
    )
    error = await refused(UnavailableError(0, "Unreachable", said), config)
    assert "not signed by the kubeconfig's authority" in error.what
    assert "try again" not in error.next
    assert "platformctl kubeconfig -i SITE --user YOU" in error.next


@pytest.mark.parametrize(
    ("words", "what", "remedy"),
    [
        (("--kubeconfig", "none"), "does not exist", "correct --kubeconfig, or ask"),
        (("--kubeconfig", "config", "--context", "z"), "contexts are: c, d", "choose another --context"),
        (("--kubeconfig", "empty"), "there is no current context", "choose a --context"),
    ],
)
def test_each_kubeconfig_that_does_not_do_has_its_remedy(
    run: Callable[..., Result], config: Path, words: tuple[str, ...], what: str, remedy: str
) -> None:
    words = tuple(
        str(config.parent / word) if word in ("none", "config", "empty") else word for word in words
    )
    (config.parent / "empty").write_text("{}")
    error = run("job", "list", *words).exception
    assert isinstance(error, PlatformError)
    assert what in error.what
    assert remedy in error.next


def test_a_kubeconfig_variable_that_names_no_file_says_so(run: Callable[..., Result], tmp_path: Path) -> None:
    error = run("job", "list", env={"KUBECONFIG": str(tmp_path / "none")}).exception
    assert isinstance(error, PlatformError)
    assert error.what == f"no cluster to connect to: the file {tmp_path / 'none'} does not exist"
    assert error.next.startswith("correct KUBECONFIG, or ask")
