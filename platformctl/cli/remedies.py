"""Commands on a site: the next steps in their errors name the site, so that people can paste them."""

from typing import Any

from typer.core import TyperCommand

from platformctl.errors import PlatformError


class SiteCommand(TyperCommand):
    """A command with an option `inventory`."""

    def invoke(self, ctx: Any) -> Any:
        """Run it; an error that it raises names the inventory that it was given."""
        try:
            return super().invoke(ctx)
        except PlatformError as error:
            inventory = ctx.params.get("inventory")
            raise (error.for_site(inventory) if inventory else error) from error.__cause__
