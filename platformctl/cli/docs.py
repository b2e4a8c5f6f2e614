"""`platformctl docs`: the documentation of this version, which needs no checkout.

Messages refer to a page by this command, because its path differs between installations.
"""

from pathlib import Path
from typing import Annotated

import typer

from platformctl import paths
from platformctl.console import Output
from platformctl.errors import ExitCode, PlatformError


def register(app: typer.Typer) -> None:
    """Add the command to the root."""
    app.command()(docs)


def docs(
    ctx: typer.Context,
    page: Annotated[str, typer.Argument(help="The page to print; without it, list all pages.")] = "",
) -> None:
    """Print a page of the documentation (Markdown), or list the pages.

    Example: `platformctl docs jobs`
    """
    output: Output = ctx.obj
    pages = _pages()
    if not page:
        output.table("", ("page", "title"), [(name, _title(file)) for name, file in pages.items()])
        output.remark(f"files: {_folder()}")
        return
    if page not in pages:
        raise PlatformError(
            f"there is no page {page}", next=f"choose one of {', '.join(pages)}", code=ExitCode.INVALID
        )
    text = pages[page].read_text()
    if output.json:
        output.document({"page": page, "file": pages[page], "text": text})
    else:
        print(text, end="")


def _folder() -> Path:
    return paths.data_dir() / "docs"


def _pages() -> dict[str, Path]:
    return {path.stem: path for path in sorted(_folder().glob("*.md"))}


def _title(page: Path) -> str:
    """The heading of a page, without markup."""
    return page.read_text().partition("\n")[0].lstrip("# ").replace("`", "")
