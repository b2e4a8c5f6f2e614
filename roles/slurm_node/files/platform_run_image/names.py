"""What the name of an image means: its repository in the site's registry, and a tag or digest there."""

from platform_run_image import settings


def parse(name: str) -> tuple[str, str]:
    """Return the repository in the site's registry and the tag or digest of an image's name."""
    name, _, digest = name.removeprefix("docker://").partition("@")
    head, slash, rest = name.partition("/")
    if not slash or not ("." in head or ":" in head or head == "localhost"):
        head, rest = "docker.io", name if slash else f"library/{name}"
    rest, colon, tag = rest.partition(":")
    if head in ("index.docker.io", "registry-1.docker.io"):
        head = "docker.io"
    if head == "docker.io" and "/" not in rest:
        rest = f"library/{rest}"
    repository = rest if head == settings.REGISTRY else f"{head}/{rest}"
    return repository, digest or (tag if colon else "latest")
