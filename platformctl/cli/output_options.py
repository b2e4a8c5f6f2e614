"""The options of the output (-o, -v, --no-color) after a command as well as before it, in every command.

They are declared by the root command. Its group gives a copy of each to all commands below it, so no command
has to declare them and none can forget them. If a command has an option of the same name, that one is used,
and the copy keeps its other names. A command that keeps all its words for another program gets none.
"""

import copy
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from typer.core import TyperGroup

from platformctl.console import Format, Output

# How each option changes an Output, by the option's name.
_CHANGES: Mapping[str, Callable[[Output, Any], Output]] = {
    "output": lambda output, value: replace(output, format=Format(value)),
    "color": lambda output, value: replace(output, color=value),
    "verbose": lambda output, value: replace(output, verbose=output.verbose + value),
}


class RootGroup(TyperGroup):
    """The root command; see the module."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        own = [param for param in self.params if param.name in _CHANGES]
        for command in _below(self.commands.values()):
            if getattr(command, "keeps_words", False):
                continue
            command.params += [copied for option in own if (copied := _copy(option, command.params))]


def _below(commands: Iterable[Any]) -> Iterable[Any]:
    """Commands and groups, at any depth."""
    for command in commands:
        yield command
        yield from _below(getattr(command, "commands", {}).values())


def _copy(option: Any, others: Sequence[Any]) -> Any:
    """The option for a command with these parameters; None if all its names are taken."""
    taken = {name for other in others for name in (*other.opts, *other.secondary_opts)}
    copied = copy.copy(option)
    copied.opts = [name for name in option.opts if name not in taken]
    copied.secondary_opts = [name for name in option.secondary_opts if name not in taken]
    if not copied.opts:
        return None
    # The command's function does not get it. If it is not given, the root's value stays.
    copied.expose_value = False
    copied.default = 0 if option.count else None
    copied.show_default = False
    copied.callback = _change
    copied.rich_help_panel = "Output"
    return copied


def _change(context: Any, option: Any, value: Any) -> Any:
    """Called for each command with the value that was given to it, if any."""
    if value is not None and isinstance(context.obj, Output):
        context.obj = _CHANGES[option.name](context.obj, value)
    return value
