"""`platformctl lab`: make, look at, enter and remove labs."""

import os
import shlex
import time
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from platformctl import lab as labs
from platformctl.cli import completion
from platformctl.console import Output
from platformctl.errors import ExitCode, PlatformError

app = typer.Typer(help="Labs: podman hosts in place of bare metal, to try a site.", no_args_is_help=True)

Name = Annotated[str, typer.Option("--name", "-n", help="The lab's name.", autocompletion=completion.labs)]


@app.command()
def up(
    ctx: typer.Context,
    name: Name = labs.DEFAULT_NAME,
    inventory: Annotated[
        Path | None,
        typer.Option(
            "--inventory",
            "-i",
            help="Boot a host for each host of this inventory.",
            autocompletion=completion.inventories,
        ),
    ] = None,
    light: Annotated[int, typer.Option(help="Number of plain hosts to add.", min=0, max=50)] = 0,
) -> None:
    """Boot a lab's hosts and wait until ssh answers on all of them. An existing lab is completed."""
    output: Output = ctx.obj
    started = time.monotonic()
    _tell_ready(output, labs.up(name, inventory, light, say=output.remark), started)


@app.command(epilog="Example: platformctl lab fleet 1000, then platformctl plan -i INVENTORY")
def fleet(
    ctx: typer.Context,
    size: Annotated[int, typer.Argument(help="How many hosts.", min=3, max=labs.MOST_SIMULATED)],
    name: Name = labs.DEFAULT_FLEET,
) -> None:
    """Boot simulated hosts, for example a thousand. They answer ssh and Ansible, and run no services.

    All share one container. Their files are in memory, and lost when it stops. Half of the hosts are
    Kubernetes nodes, half are Slurm nodes, and the first is the control host of both.
    """
    output: Output = ctx.obj
    started = time.monotonic()
    _tell_ready(output, labs.fleet(name, size, say=output.remark), started)


@app.command()
def down(ctx: typer.Context, name: Name = labs.DEFAULT_NAME) -> None:
    """Remove a lab and everything that belongs to it; with the last lab, also what all labs share."""
    output: Output = ctx.obj
    removed = labs.down(name, say=output.remark)
    if output.json:
        output.document({"lab": name, "removed": removed.things})
        return
    output.say(
        f"lab {name}: " + (f"removed {', '.join(removed.things)}" if removed.things else "nothing there")
    )


@app.command()
def status(ctx: typer.Context, name: Name = labs.DEFAULT_NAME) -> None:
    """Show a lab's hosts: address, state, time since boot, memory in use."""
    output: Output = ctx.obj
    lab = _existing(name)
    rows = labs.observe(lab)
    if output.json:
        output.document({**_described(lab), "hosts": [row.as_json() for row in rows]})
        return
    columns = ("host", "address", "state", "uptime", "memory")
    output.table(f"lab {name}", columns, [row.as_text() for row in rows])
    output.say(f"inventory: {lab.inventory}")


class OptionsFirst(TyperCommand):
    """A command whose own options end at the second word; later options belong to the command it names."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put `--` before the second word."""
        valued = {
            name
            for option in self.params
            if option.param_type_name == "option" and not getattr(option, "is_flag", False)
            for name in option.opts
        }
        words, number = 0, 0
        while number < len(args) and args[number] != "--":
            if args[number].startswith("-"):
                number += args[number] in valued
            else:
                words += 1
                if words == 2:
                    args = [*args[:number], "--", *args[number:]]
                    break
            number += 1
        return super().parse_args(ctx, args)


@app.command(cls=OptionsFirst)
def shell(
    host: Annotated[str, typer.Argument(help="A host of the lab.", autocompletion=completion.lab_hosts)],
    command: Annotated[
        list[str] | None, typer.Argument(help="Run this, and exit with its exit code.", show_default=False)
    ] = None,
    name: Name = labs.DEFAULT_NAME,
    console: Annotated[
        bool, typer.Option("--console", help="As root through podman, if the host's ssh does not answer.")
    ] = False,
) -> None:
    """Open a shell on a host, over ssh as its administrator, or run a command there.

    Example: `platformctl lab shell node1`

    Example: `platformctl lab shell node1 systemctl is-active kubelet`

    Example: `platformctl lab shell node1 'journalctl -u slurmd | tail'`
    """
    lab = _existing(name)
    # A single word may be a whole command line; several words are passed unchanged.
    text = shlex.join(command) if command and len(command) > 1 else "".join(command or [])
    words = lab.console_command(host, text) if console else lab.ssh_command(host, *([text] if text else []))
    os.execvp(words[0], words)  # noqa: S606 - the shell takes this process's place


def _existing(name: str) -> labs.Lab:
    lab = labs.find(name)
    if lab is None:
        others = ", ".join(labs.names()) or "none"
        raise PlatformError(
            f"there is no lab {name}",
            where=f"labs here: {others}",
            next=f"platformctl lab up --name {name}",
            code=ExitCode.INVALID,
        )
    return lab


def _tell_ready(output: Output, lab: labs.Lab, started: float) -> None:
    seconds = round(time.monotonic() - started, 1)
    if output.json:
        output.document({**_described(lab), "seconds": seconds})
        return
    output.say(f"lab {lab.name}: {len(lab.hosts)} hosts answer, {seconds} s")
    output.say(f"inventory: {lab.inventory}")


def _described(lab: labs.Lab) -> dict[str, object]:
    return {
        "lab": lab.name,
        "inventory": str(lab.inventory),
        "network": str(lab.slot),
        "state": str(lab.state),
        "hosts": {host.name: str(host.address) for host in lab.hosts},
    }
