"""Filling the store: make or download what changed, and nothing else.

An artefact's key is the digest of everything it is made from. If the store has an artefact with the
same key, it is not made again; so a fetch with nothing to do only compares keys.
"""

import fcntl
import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from platformctl.artifacts import catalogue as catalogues
from platformctl.artifacts import charts, programs, registry_layout, wheels
from platformctl.artifacts.catalogue import Catalogue
from platformctl.artifacts.images import Workshop
from platformctl.artifacts.lock import Lock, check_pins, read_lock, write_lock
from platformctl.artifacts.progress import Progress
from platformctl.artifacts.registry_layout import Repository
from platformctl.artifacts.sources import Offer, Source, find_source
from platformctl.artifacts.store import Store, open_store
from platformctl.console import Output
from platformctl.paths import cache_dir

# The section of the index for each use of a program.
SECTIONS = {"hosts": "binaries", "operator": "tools"}


@dataclass(frozen=True)
class Result:
    """What a fetch did. changed: names of artefacts made or downloaded, with their kind."""

    folder: Path
    changed: list[str]
    total: int
    lock: str


def fetch(
    source: str,
    output: Output,
    *,
    lock: Path | None = None,
    mirror: str | None = None,
    chosen: Collection[str] = (),
) -> Result:
    """Bring the store of a source up to date.

    lock: the site's lock file; a difference from it is refused before anything is made or downloaded. mirror:
    address of the site's server, for the source `mirror`. chosen: what the site has chosen of the images that
    only some sites need; those of other sites stay in the store as they are.
    """
    folder = cache_dir() / "artifacts"
    folder.mkdir(parents=True, exist_ok=True)
    with _one_at_a_time(folder / "lock", output):
        origin = find_source(source, _catalogue(chosen), folder, lock, mirror)
        if lock and (pinned := read_lock(lock)):
            check_pins(lock, pinned, source, origin.local_pins())
        store = open_store(source)
        store.check_touched()
        progress = Progress(output, folder / "durations.json")
        workshop = origin.workshop()
        wanted = _wanted(origin, workshop) | _of_other_sites(store, chosen)
        changed = [artefact for artefact, key in wanted.items() if not store.current(artefact, key)]
        origin.provide(workshop, _needed(origin, changed), progress)
        progress.expect(changed)
        for artefact in changed:
            with progress.step(artefact):
                store.put(artefact, wanted[artefact], _make(origin, workshop, store, artefact))
        index = store.publish(set(wanted)) if store.differs(set(wanted), changed) else store.index()
        progress.save()
        return Result(store.folder, changed, len(wanted), index["lock"])


def pin(source: str, lock: Path, *, mirror: str | None = None, chosen: Collection[str] = ()) -> Lock:
    """Write a source's lock: from then on only what it offers now may be installed. chosen: see fetch."""
    folder = cache_dir() / "artifacts"
    origin = find_source(source, _catalogue(chosen), folder, mirror=mirror)
    pinned = Lock(source, origin.pins())
    write_lock(lock, pinned)
    return pinned


def unpinned(
    source: str, lock: Path, *, mirror: str | None = None, chosen: Collection[str] = ()
) -> list[Offer]:
    """What a lock would pin, if the source needs one and the site has none yet; otherwise nothing."""
    if lock.exists():
        return []
    return find_source(source, _catalogue(chosen), cache_dir() / "artifacts", mirror=mirror).offers()


def _catalogue(chosen: Collection[str]) -> Catalogue:
    return catalogues.load().without_others(chosen)


def _of_other_sites(store: Store, chosen: Collection[str]) -> dict[str, str]:
    """The images that the store has for other sites, with their keys. Sites share the store of a source."""
    known = catalogues.load().images
    others = known.keys() - _catalogue(chosen).images.keys()
    kept = {f"images:{name}" for name in others} & store.state.records.keys()
    return {
        artefact: key
        for artefact, key in store.state.keys.items()
        if artefact in kept and store.current(artefact, key)
    }


def _needed(origin: Source, artefacts: list[str]) -> set[str]:
    """The programs that are needed to make these artefacts."""
    needed: set[str] = set()
    for kind, _, name in (artefact.partition(":") for artefact in artefacts):
        if kind in SECTIONS.values():
            needed.add(name)
        elif kind == "images":
            needed.update(origin.image_programs(name))
    return needed


def _wanted(origin: Source, workshop: Workshop) -> dict[str, str]:
    """Every artefact with the key of its inputs."""
    wanted = {
        f"{SECTIONS[program.use]}:{name}": workshop.programs[name][0]
        for name, program in workshop.catalogue.delivered().items()
    }
    wanted |= {f"images:{name}": origin.image_key(workshop, name) for name in workshop.catalogue.images}
    for name, folder in charts.find_charts().items():
        crds = workshop.catalogue.chart_crds.get(name)
        lock = wheels.lock_path(crds.wheels).read_text() if crds else ""
        wanted[f"charts:{name}"] = charts.chart_key(folder, lock)
    return wanted


def _make(origin: Source, workshop: Workshop, store: Store, artefact: str) -> dict[str, Any]:
    kind, _, name = artefact.partition(":")
    if kind in SECTIONS.values():
        return _store_program(workshop, store, name)
    if kind == "images":
        only_for = workshop.catalogue.images[name].only_for
        record = _store_image(store, origin.image(workshop, name))
        return {**record, "only_for": only_for} if only_for else record
    return _store_chart(workshop, store, name)


def _store_program(workshop: Workshop, store: Store, name: str) -> dict[str, Any]:
    program = workshop.catalogue.programs[name]
    path = f"bin/{name}"
    destination = store.folder / path
    partial = destination.with_name(f".{name}.partial")
    shutil.copyfile(programs.checked(workshop.programs[name][1]), partial)
    partial.chmod(0o755)
    partial.replace(destination)
    digest = store.stamp(path)
    record = {
        "version": program.version,
        "sha256": digest,
        "path": path,
        "size": destination.stat().st_size,
    }
    if program.use == "hosts":
        repository = registry_layout.binary_repository(
            f"platformctl/{name}", program.version, digest, destination
        )
        record["archive"] = _store_archive(store, name, repository)
    return record


def _store_image(store: Store, repository: Repository) -> dict[str, Any]:
    archive = _store_archive(store, repository.name.replace("/", "_"), repository)
    return {"tag": repository.tag, "digest": repository.digest, "archive": archive}


def _store_archive(store: Store, name: str, repository: Repository) -> str:
    path = f"archives/{name}.tar"
    registry_layout.write_archive(store.folder / path, repository)
    store.stamp(path)
    return path


def _store_chart(workshop: Workshop, store: Store, name: str) -> dict[str, Any]:
    folder = charts.find_charts()[name]
    version = charts.chart_version(folder)
    path = f"charts/{name}-{version}.tgz"
    crds = workshop.catalogue.chart_crds.get(name)
    source = None
    if crds:
        image = next(image for image in workshop.catalogue.images.values() if image.wheels == crds.wheels)
        source = workshop.wheels_folder(image) / wheels.SITE / crds.folder
    charts.package(name, folder, source, store.folder / path)
    return {"version": version, "path": path, "sha256": store.stamp(path)}


@contextmanager
def _one_at_a_time(path: Path, output: Output) -> Iterator[None]:
    """Two fetches share one cache, so the second waits for the first."""
    with path.open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            output.remark("artifacts: another fetch is running; waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
