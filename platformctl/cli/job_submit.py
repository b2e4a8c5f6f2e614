"""`platformctl job submit` and `job run`: Jobs from manifests, scripts and command lines."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer
from typer.core import TyperCommand

from platformctl import surroundings
from platformctl.cli import cluster, job_wait
from platformctl.cli.cluster import Access, ContextOption, KubeconfigOption, NamespaceOption
from platformctl.cli.completion import QueueOption
from platformctl.cli.job_wait import WatchOption
from platformctl.console import Output
from platformctl.errors import ExitCode, PlatformError
from platformctl.jobs.model import Target

_ARGUMENTS = "platformctl.arguments"


class WithArguments(TyperCommand):
    """A command that takes any words after `--`, kept apart from those before."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Keep what follows the first `--` for the command's function."""
        end = args.index("--") if "--" in args else len(args)
        ctx.meta[_ARGUMENTS] = tuple(args[end + 1 :])
        return super().parse_args(ctx, args[:end])

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """Add the words after `--`."""
        return [*super().collect_usage_pieces(ctx), "[-- ARGS...]"]


@dataclass(frozen=True)
class Asked:
    """The options of both commands, as typed."""

    file: Annotated[
        str, typer.Argument(metavar="FILE|-", help="A manifest or a script; - for standard input.")
    ] = ""
    script: Annotated[
        bool, typer.Option("--script", help="Read the file as a script, whatever it begins with.")
    ] = False
    image: Annotated[
        str, typer.Option(help="Run ARGS in this image; with a manifest, replace its container's image.")
    ] = ""
    name: Annotated[str, typer.Option(help="The Job's name; by default a new one is made.")] = ""
    target: Annotated[
        Target | None, typer.Option(help="Where it runs; auto: as the site decides.", show_default=False)
    ] = None
    queue: QueueOption = ""
    account: Annotated[str, typer.Option(help="The account to charge.")] = ""
    walltime: Annotated[str, typer.Option(help="How long it may run: 5400, 01:30:00, 1h30m.")] = ""
    cpus: Annotated[str, typer.Option(help="Cores for each task: 4, 500m; 0 removes a manifest's.")] = ""
    memory: Annotated[str, typer.Option(help="Memory for each task: 512Mi, 16Gi.")] = ""
    gpus: Annotated[
        int | None,
        typer.Option(min=0, help="GPUs for each task; 0 removes a manifest's.", show_default=False),
    ] = None
    nodes: Annotated[
        int | None, typer.Option(min=1, help="Number of hosts to spread over.", show_default=False)
    ] = None
    tasks: Annotated[
        int | None, typer.Option(min=1, help="Number of tasks at the same time.", show_default=False)
    ] = None
    array: Annotated[str, typer.Option(help="Run it once for each index: 0-99%10, 1,3,7, 0-20:5.")] = ""
    retries: Annotated[
        int | None, typer.Option(min=0, help="Further attempts after a failure.", show_default=False)
    ] = None
    after: Annotated[
        list[str] | None,
        typer.Option(
            metavar="JOB[:WHEN]",
            help="Start after this Job succeeded, or :failed, :finished, :started; repeat or use commas.",
            show_default=False,
        ),
    ] = None
    env: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME[=VALUE]",
            help="An environment variable; without a value, copied from your shell; repeat for more.",
            show_default=False,
        ),
    ] = None
    label: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KEY=VALUE", help="A label for `job list -l`; repeat or use commas.", show_default=False
        ),
    ] = None


def _taking_asked(command: Callable[..., None]) -> Callable[..., None]:
    """The command with the options of Asked before its own; it gets them as one object."""
    names = [field.name for field in fields(Asked)]

    def with_options(ctx: typer.Context, **given: Any) -> None:
        command(ctx, Asked(**{name: given.pop(name) for name in names}), **given)

    hints = get_type_hints(Asked, include_extras=True)
    first, _, *own = inspect.signature(command, eval_str=True).parameters.values()
    options = [
        inspect.Parameter(
            field.name, inspect.Parameter.KEYWORD_ONLY, default=field.default, annotation=hints[field.name]
        )
        for field in fields(Asked)
    ]
    own = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in own]
    with_options.__doc__ = command.__doc__
    with_options.__signature__ = inspect.Signature([first, *options, *own])  # type: ignore[attr-defined]
    return with_options


def register(app: typer.Typer) -> None:
    """Add the commands to `platformctl job`."""
    app.command(name="submit", cls=WithArguments)(_taking_asked(submit))
    app.command(name="run", cls=WithArguments)(_taking_asked(run))


def submit(
    ctx: typer.Context,
    asked: Asked,
    watch: WatchOption = False,
    kubeconfig: KubeconfigOption = None,
    context: ContextOption = "",
    namespace: NamespaceOption = "",
) -> None:
    """Submit Jobs: those of a manifest, or one that runs a script or a command.

    A file that begins with `#!` is a script, and the words after `--` are its arguments. Without a file,
    these words are a command, which runs as a script, or in an image with `--image`. Options take precedence
    over the manifest. Convert a script with `#SBATCH` lines first: `platformctl job import`.

    Exits with 3 if the Job is refused at once, and says why.

    Example: `platformctl job submit job.yaml --queue batch --walltime 2h`

    Example: `platformctl job submit train.sh --cpus 8 --memory 32Gi --gpus 1 -- --epochs 10`

    Example: `platformctl job submit --image docker.io/library/perl:5 --env SEED=7 -- perl -E 'say 6 * 7'`

    Example: `platformctl job submit --array 0-9%2 --after prepare-x7k2p --label project=wind -- ./step.sh`
    """
    ready = _documents(asked, ctx.meta[_ARGUMENTS])
    job_wait.submit(ctx.obj, ready, Access(kubeconfig, context, namespace), watch)


def run(
    ctx: typer.Context,
    asked: Asked,
    kubeconfig: KubeconfigOption = None,
    context: ContextOption = "",
    namespace: NamespaceOption = "",
) -> None:
    """Submit a Job and print its output until it has ended; with the options of `submit`.

    Messages about the Job go to standard error. Exits with 0 if the Job succeeded, with 1 if not, with 3 if
    it was refused. Ctrl-C does not cancel the Job.

    Example: `platformctl job run --cpus 4 -- make -j4`

    Example: `platformctl job run train.sh --gpus 1 --walltime 30m`
    """
    output: Output = ctx.obj
    ready = _documents(asked, ctx.meta[_ARGUMENTS])
    if len(ready) > 1:
        raise _unclear("run follows one Job", asked.file, f"platformctl job submit {asked.file} --watch")
    job_wait.run(output, ready[0], Access(kubeconfig, context, namespace))


def _documents(asked: Asked, arguments: tuple[str, ...]) -> list[dict[str, Any]]:
    """The Jobs to submit, if nothing is wrong with them."""
    from platformctl.jobs import request
    from platformctl.jobs.command_line import UnclearError

    wanted = _request(asked, arguments)
    where = asked.file or "the command line"
    try:
        if not asked.file:
            return [_checked(request.from_request(wanted), where)]
        jobs = _read_jobs(asked)
        if len(jobs) > 1 and (asked.name or arguments):
            what = "--name is" if asked.name else "ARGS are"
            raise UnclearError(f"{what} for one Job, and the file has {len(jobs)}")
        return [_checked(request.applied(job, wanted), where) for job in jobs]
    except UnclearError as error:
        raise _unclear(str(error), where, "platformctl job submit --help") from error


def _request(asked: Asked, arguments: tuple[str, ...]) -> Any:
    from platformctl.jobs.request import Request, amounts_of

    given = {
        "target": asked.target.value if asked.target else None,
        "queue": asked.queue,
        "account": asked.account,
        "walltime": int(asked.walltime) if asked.walltime.isdecimal() else asked.walltime,
        "nodes": asked.nodes,
        "tasks": asked.tasks,
        "array": asked.array,
        "retries": asked.retries,
    }
    return Request(
        name=asked.name,
        fields={key: value for key, value in given.items() if value not in (None, "")},
        amounts=amounts_of(asked.cpus, asked.memory, asked.gpus),
        after=tuple(_parts(asked.after)),
        image=asked.image,
        variables=tuple(_variable(text) for text in asked.env or ()),
        labels=dict(_label(text) for text in _parts(asked.label)),
        arguments=arguments,
    )


def _parts(given: list[str] | None) -> list[str]:
    """The values of an option that may be repeated and takes commas."""
    return [part for text in given or () for part in text.split(",") if part]


def _variable(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals and name not in surroundings.given():
        raise typer.BadParameter(f"{name} is not set in your shell; write {name}=VALUE", param_hint="--env")
    return name, value if equals else surroundings.given()[name]


def _label(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise typer.BadParameter(f"{text!r} is not KEY=VALUE, such as project=wind", param_hint="--label")
    return key, value


def _unclear(what: str, where: str, next_step: str) -> PlatformError:
    return PlatformError(what, where=where, next=next_step, code=ExitCode.INVALID)


def _read_jobs(asked: Asked) -> list[dict[str, Any]]:
    """The Jobs of a file, or of standard input."""
    from platformctl.jobs import manifest

    file = asked.file
    stem = "stdin" if file == "-" else Path(file).stem
    text = cluster.read_text(file, f"write a command after two dashes: platformctl job submit -- {file}")
    if not asked.script and not manifest.is_script(text):
        try:
            return manifest.from_manifest(text, stem)
        except manifest.NotAManifestError as error:
            raise PlatformError(
                f"{file} {error}",
                next="give a manifest of Jobs, or a script whose first line is its interpreter (#!/bin/bash)",
                code=ExitCode.INVALID,
            ) from error
    return [manifest.from_script(text, stem)]


def _checked(job: dict[str, Any], where: str) -> dict[str, Any]:
    """The Job, if nothing is wrong with it."""
    from platformctl.jobs import manifest
    from platformctl.jobs.parse import DIRECTIVES_REFUSED, parse

    parsed = parse(job["spec"])
    if isinstance(parsed, list):
        directives = any(refusal.message.endswith(DIRECTIVES_REFUSED) for refusal in parsed)
        raise PlatformError(
            f"{len(parsed)} mistakes, so nothing was submitted"
            if len(parsed) > 1
            else "nothing was submitted",
            where=where,
            details=manifest.complaints(parsed),
            next=f"platformctl job import {where}" if directives else "all fields: platformctl docs jobs",
            code=ExitCode.INVALID,
        )
    return job
