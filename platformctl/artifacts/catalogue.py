"""The catalogue: every program, image and chart, its version and where it comes from (catalogue.yml)."""

from collections.abc import Collection
from pathlib import Path
from typing import Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, model_validator

PACKAGE = Path(__file__).parent


class Entry(BaseModel):
    """Common to all entries: unknown keys are errors, nothing changes after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class GoSource(Entry):
    """A main package of one of the Go modules in gomodules/.

    stamp: name of the linker flags that set its version. cgo: it does not build without a C compiler. apart:
    it must not share one `go build` command with the others. dynamic: with cgo, it loads a library of the
    host while it runs, so it is linked to the C library of its image.
    """

    package: str
    module: str = "tools"
    stamp: str | None = None
    cgo: bool = False
    apart: bool = False
    dynamic: bool = False


class CSource(Entry):
    """One C file inside a Go module that gomodules/tools requires."""

    module: str
    source: str


class Published(Entry):
    """Something at its publisher. evidence: how it is known that this exact version or tag exists there."""

    evidence: str = Field(min_length=20)


class Download(Published):
    """A file at its publisher. member: the path inside it, if it is an archive.

    version: the publisher's version, if it differs from that of the Go modules.
    """

    url: str
    member: str | None = None
    version: str | None = None


class Pull(Published):
    """An image at its publisher. tag: the publisher's tag, if it differs from that of the image made here."""

    tag: str | None = None


class Program(Entry):
    """A static program.

    use: for `hosts` and the `operator` a program is delivered as a file; else it is only part of images.
    """

    version: str
    use: Literal["hosts", "operator", "images"] = Field(default="images", alias="for")
    go: GoSource | None = None
    c: CSource | None = None
    upstream: Download | None = None

    @model_validator(mode="after")
    def _one_recipe(self) -> Self:
        if (self.go is None) == (self.c is None):
            raise ValueError("exactly one of go and c is needed")
        if self.use != "images" and self.upstream is None:
            raise ValueError("a program that is delivered as a file needs upstream")
        return self

    def published(self) -> Self:
        """The program with its publisher's version, which is also filled into the URL and the member."""
        if self.upstream is None:
            return self
        version = self.upstream.version or self.version
        filled = {
            name: text and text.format(version=version)
            for name, text in (("url", self.upstream.url), ("member", self.upstream.member))
        }
        return self.model_copy(
            update={"version": version, "upstream": self.upstream.model_copy(update=filled)}
        )


class Root(Entry):
    """A root filesystem of Debian packages.

    links: symbolic links to add (path to target). applets: a busybox whose applets get links.
    python: an interpreter whose standard library is compiled, so that a read-only container starts fast.
    """

    variant: Literal["extract", "essential"]
    packages: list[str]
    links: dict[str, str] = Field(default_factory=dict)
    applets: str | None = None
    python: str | None = None


class Image(Entry):
    """An image made here. programs: name to path in the image; wheels: folder of a lock below images/.

    sources: it contains platformctl itself. ours: every source makes it here. upstream: what the sources
    `upstream` and `mirror` pull instead. only_for: what a site must have chosen to need it; empty for all
    sites.
    """

    tag: str
    root: str | None = None
    programs: dict[str, str] = Field(default_factory=dict)
    wheels: str | None = None
    sources: bool = False
    ours: bool = False
    entrypoint: list[str] = Field(default_factory=list)
    command: list[str] = Field(default_factory=list)
    user: str = ""
    only_for: str = ""
    upstream: Pull | None = None

    @model_validator(mode="after")
    def _made_or_pulled(self) -> Self:
        if self.ours == (self.upstream is not None):
            raise ValueError("exactly one of ours and upstream is needed")
        return self

    def published(self) -> Self:
        """The image as its publisher has it."""
        tag = self.upstream.tag if self.upstream else None
        return self.model_copy(update={"tag": tag or self.tag})

    def settings(self) -> dict[str, object]:
        """The `config` object of the OCI image configuration."""
        path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        settings: dict[str, object] = {"Env": [path]}
        for name, value in (("Entrypoint", self.entrypoint), ("Cmd", self.command), ("User", self.user)):
            if value:
                settings[name] = value
        return settings


class ChartCrds(Entry):
    """Custom resource definitions that a chart takes from the wheels of an image."""

    wheels: str
    folder: str


class Catalogue(Entry):
    """Everything of catalogue.yml."""

    stamps: dict[str, dict[str, str]]
    programs: dict[str, Program]
    roots: dict[str, Root]
    images: dict[str, Image]
    chart_crds: dict[str, ChartCrds] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _names_exist(self) -> Self:
        for name, program in self.programs.items():
            if program.go and program.go.stamp and program.go.stamp not in self.stamps:
                raise ValueError(f"programs.{name}: no stamp {program.go.stamp}")
        for name, image in self.images.items():
            missing = set(image.programs) - set(self.programs)
            if missing or (image.root and image.root not in self.roots):
                raise ValueError(f"images.{name}: unknown program or root {sorted(missing) or image.root}")
        return self

    def published(self) -> Self:
        """The catalogue with the versions and tags that publishers have, for what is not built here."""
        return self.model_copy(
            update={
                "programs": {name: program.published() for name, program in self.programs.items()},
                "images": {name: image.published() for name, image in self.images.items()},
            }
        )

    def without_others(self, chosen: Collection[str]) -> Self:
        """The catalogue without the images that are only for what a site has not chosen."""
        images = {
            n: image for n, image in self.images.items() if not image.only_for or image.only_for in chosen
        }
        return self.model_copy(update={"images": images})

    def delivered(self) -> dict[str, Program]:
        """The programs that are files in the store, for hosts or for the operator."""
        return {name: program for name, program in self.programs.items() if program.use != "images"}


def load(path: Path = PACKAGE / "catalogue.yml") -> Catalogue:
    """Read and check the catalogue."""
    return Catalogue.model_validate(yaml.safe_load(path.read_text()))
