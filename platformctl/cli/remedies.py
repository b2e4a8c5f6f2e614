"""Commands on a site: the next steps in their errors name the site, so that people can paste them."""

from typing import Any

from typer.core import TyperCommand

from platformctl.errors import PlatformError

AGREED = "--agreed"
"""The hidden option that holds the names of `--yes NAME`."""


class SiteCommand(TyperCommand):
    """A command with an option `inventory`."""

    def invoke(self, ctx: Any) -> Any:
        """Run it; an error that it raises names the inventory that it was given."""
        try:
            return super().invoke(ctx)
        except PlatformError as error:
            inventory = ctx.params.get("inventory")
            raise (error.for_site(inventory) if inventory else error) from error.__cause__


class AgreeingCommand(SiteCommand):
    """A command with an option `--yes` that may have a name: `--yes NAME` accepts this, and nothing else."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the words of the command line, in which `--yes NAME` is the option AGREED."""
        words, rest = [], list(args)
        while rest:
            word = rest.pop(0)
            if word.startswith("--yes="):
                words.append(f"{AGREED}={word.partition('=')[2]}")
            elif word in ("--yes", "-y") and rest and not rest[0].startswith("-"):
                words.append(f"{AGREED}={rest.pop(0)}")
            else:
                words.append(word)
        return super().parse_args(ctx, words)
