"""The cluster of the user's kubeconfig, and its errors as messages with the next step."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from platformctl.cli import completion
from platformctl.errors import ExitCode, PlatformError
from platformctl.vocabulary import GROUP

if TYPE_CHECKING:
    from platformctl.clients.jobs import JobsClient
    from platformctl.clients.kubernetes import ApiError

KubeconfigOption = Annotated[
    Path | None,
    typer.Option("--kubeconfig", help="Use this file, not KUBECONFIG or ~/.kube/config.", show_default=False),
]
ContextOption = Annotated[str, typer.Option("--context", help="Use this context, not the current one.")]
NamespaceOption = Annotated[
    str, typer.Option("--namespace", "-n", help="Use this namespace, not the context's.")
]


@dataclass(frozen=True)
class Access:
    """The cluster and namespace of the options; empty values for those of the kubeconfig."""

    kubeconfig: Path | None = None
    context: str = ""
    namespace: str = ""


@asynccontextmanager
async def jobs_of(access: Access) -> AsyncIterator["JobsClient"]:
    """The Jobs of the namespace; errors of the cluster become PlatformErrors."""
    from platformctl.clients.context import kubeconfig_files, read_context
    from platformctl.clients.jobs import JobsClient, NoJobsError, NoLogsError
    from platformctl.clients.kubernetes import ApiError, KubernetesClient

    files = kubeconfig_files(access.kubeconfig, os.environ)
    try:
        context = read_context(files, access.context)
    except (ValueError, OSError) as error:
        raise PlatformError(
            f"no cluster to connect to: {error}",
            where=", ".join(str(path) for path in files),
            next=_other_kubeconfig(files, access),
            code=ExitCode.INVALID,
        ) from error
    where = f"{context.connection.server}, context {context.name} of {context.source}"
    async with KubernetesClient(context.connection) as client:
        jobs = JobsClient(client, access.namespace or context.namespace)
        try:
            yield jobs
        except NoJobsError as error:
            raise PlatformError(
                "this cluster knows no Jobs: the job router is not installed",
                where=where,
                next="your site's engineers run: platformctl charts -i SITE",
            ) from error
        except NoLogsError as error:
            raise PlatformError(
                "this cluster does not serve the output of Jobs",
                where=where,
                next="platformctl job describe NAME says where the output is",
            ) from error
        except ApiError as error:
            raise _in_words(error, jobs.namespace, where) from error


_NEW_KUBECONFIG = "ask your site's engineers for one: platformctl kubeconfig -i SITE --user YOU --file FILE"


def _other_kubeconfig(files: list[Path], access: Access) -> str:
    """How the user gets a working kubeconfig: another file, another context, or a new kubeconfig."""
    if not any(path.is_file() for path in files):
        named = "--kubeconfig" if access.kubeconfig else "KUBECONFIG" if os.environ.get("KUBECONFIG") else ""
        correct = f"correct {named}, or " if named else ""
        return f"{correct}{_NEW_KUBECONFIG}"
    if access.context:
        return "choose another --context: kubectl config get-contexts"
    return f"correct the file, choose a --context, or {_NEW_KUBECONFIG}"


def _names(ctx: typer.Context, incomplete: str) -> list[str]:
    """Names of Jobs for the shell's completion; empty if the cluster does not answer."""
    given = ctx.params
    access = Access(given.get("kubeconfig"), given.get("context") or "", given.get("namespace") or "")

    async def listed() -> list[str]:
        async with asyncio.timeout(completion.SECONDS), jobs_of(access) as jobs:
            return [str(job["metadata"]["name"]) for job in await jobs.list()]

    with suppress(Exception):  # whatever a cluster answers
        return [name for name in asyncio.run(listed()) if name.startswith(incomplete)]
    return []


NameArgument = Annotated[str, typer.Argument(help="The Job's name.", autocompletion=_names)]
NamesArgument = Annotated[
    list[str], typer.Argument(metavar="NAME...", help="Names of Jobs.", autocompletion=_names)
]


def read_text(file: str, next_step: str = "") -> str:
    """The text of a file, or standard input for `-`. next_step: what to do if it cannot be read."""
    try:
        return sys.stdin.read() if file == "-" else Path(file).read_text()
    except (OSError, UnicodeDecodeError) as error:
        what = f"{file} cannot be read: {error}"
        raise PlatformError(what, next=next_step, code=ExitCode.INVALID) from error


def _in_words(error: "ApiError", namespace: str, where: str) -> PlatformError:
    from platformctl.clients.kubernetes import AlreadyExistsError, NotFoundError, UnavailableError

    said = error.message or error.reason
    if "CERTIFICATE_VERIFY_FAILED" in said or "certificate verify failed" in said:
        what = f"the cluster's certificate is not signed by the kubeconfig's authority: {said}"
        next_step = "if the cluster was reinstalled, or its address belongs to another one now, "
        return PlatformError(what, where, next_step + _NEW_KUBECONFIG, ExitCode.REFUSED)
    if isinstance(error, UnavailableError):
        what = said if said.startswith("the logs API") else f"the cluster does not answer: {said}"
        code = ExitCode.UNREACHABLE
        return PlatformError(what, where, "try again; the request may have been carried out", code)
    if error.code == 401:
        what = "the cluster does not accept your credentials"
        return PlatformError(what, where, _NEW_KUBECONFIG, ExitCode.REFUSED)
    if error.code == 403:
        next_step = f"is {namespace} your namespace? choose one with -n"
        if "cluster scope" in said:
            next_step = "you may not list all namespaces: choose one with -n"
        return PlatformError(f"the cluster refuses: {said}", where, next_step, ExitCode.REFUSED)
    if isinstance(error, NotFoundError):
        if f"jobs.{GROUP}" in said:
            return PlatformError(said, where, f"platformctl job list --all -n {namespace}", ExitCode.FAILED)
        next_step = f"see what the Job has: platformctl job describe NAME -n {namespace}"
        return PlatformError(said, where, next_step, ExitCode.FAILED)
    if isinstance(error, AlreadyExistsError):
        return PlatformError(
            said,
            where,
            f"choose another name, or: platformctl job cancel --delete NAME -n {namespace}",
            ExitCode.FAILED,
        )
    if error.code in (400, 422):
        # Only a label selector has requirements.
        of_selector = error.code == 400 and "requirement" in said
        job, selector = "correct the Job; all fields: platformctl docs jobs", "project=wind,stage!=test"
        next_step = f"write the label selector as in {selector}" if of_selector else job
        return PlatformError(f"the cluster rejects the request: {said}", where, next_step, ExitCode.INVALID)
    return PlatformError(f"the cluster says: {said}", where)
