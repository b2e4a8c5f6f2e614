"""The images that conformance specs run, made of Debian packages and Kubernetes' own test programs.

Names and tags are those of test/utils/image/manifest.go, contents follow test/images/*/Dockerfile, with
Debian where these start from Alpine or from a publisher's image.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from platformctl.artifacts import layers, roots
from platformctl.artifacts.catalogue import Root
from platformctl.artifacts.hashing import hash_file, hash_value
from platformctl.artifacts.layers import BlobStore, Entry, Layer
from platformctl.artifacts.registry_layout import Repository, image_repository
from tests.conformance import suite

_REGISTRY = "registry.k8s.io"
_TOOLS = ["bash", "bind9-dnsutils", "curl", "iperf", "iproute2", "netcat-openbsd", "socat", "util-linux"]
_BUSYBOX = Root(
    variant="extract", packages=["base-files", "busybox-static", "bash-static"], applets="usr/bin/busybox"
)
_DNS = Root(variant="essential", packages=["bind9-dnsutils"])
_AGNHOST = Root(variant="essential", packages=[*_TOOLS, "coreutils"])
_NGINX = Root(variant="essential", packages=["nginx-light"])
_ACCOUNTS = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\nuser-defined-in-image:x:1000:1000::/:/bin/sh\n",
    "etc/group": (
        "root:x:0:\nuser-defined-in-image:x:1000:\ngroup-defined-in-image:x:50000:user-defined-in-image\n"
    ),
}
# Logs and pid where a container's user may write.
_NGINX_CONF = """\
daemon off;
pid /tmp/nginx.pid;
error_log /dev/stderr;
events {}
http {
  access_log /dev/stdout;
  server { listen 80; root /var/www/html; }
}
"""


@dataclass(frozen=True)
class TestImage:
    """What is in an image, by path. mode: of its programs. sources: paths in the module k8s.io/kubernetes."""

    root: Root | None = None
    programs: dict[str, str] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    sources: dict[str, str] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    mode: int = layers.EXECUTABLE


_AGNHOST_IMAGE = TestImage(
    root=_AGNHOST,
    programs={"agnhost": "agnhost", "coredns": "coredns"},
    files=_ACCOUNTS,
    sources={name: f"test/images/agnhost/porter/{name}" for name in ("localhost.crt", "localhost.key")},
    links={"agnhost-2": "agnhost"},
    entrypoint=("/agnhost",),
    command=("pause",),
)


def _web_site(name: str) -> TestImage:
    return TestImage(
        root=_AGNHOST,
        programs={"agnhost": "agnhost"},
        sources={file: f"test/images/{name}/html/{file}" for file in (f"{name}.jpg", "data.json")},
        entrypoint=("/agnhost",),
        command=("test-webserver",),
    )


_NGINX_IMAGE = TestImage(
    root=_NGINX,
    files={"etc/nginx/nginx.conf": _NGINX_CONF, "var/www/html/index.html": "Welcome to nginx!\n"},
    command=("nginx",),
)
IMAGES: dict[str, TestImage] = {
    "e2e-test-images/agnhost:2.66.1": _AGNHOST_IMAGE,
    "e2e-test-images/agnhost:2.55": _AGNHOST_IMAGE,
    # Debian's busybox is built without some of ash: bash is its sh.
    "e2e-test-images/busybox:1.37.0-2": TestImage(
        root=_BUSYBOX, links={"usr/bin/sh": "bash-static"}, command=("sh",)
    ),
    "e2e-test-images/glibc-dns-testing:2.1.1": TestImage(
        root=_DNS, programs={"coredns": "coredns"}, command=("bash",)
    ),
    "e2e-test-images/nonewprivs:1.4": TestImage(
        root=_BUSYBOX, programs={"usr/local/bin/nnp": "nonewprivs"}, command=("nnp",), mode=0o4755
    ),
    "e2e-test-images/kitten:1.8": _web_site("kitten"),
    "e2e-test-images/nautilus:1.8": _web_site("nautilus"),
    "e2e-test-images/nginx:1.27.0-2": _NGINX_IMAGE,
    "e2e-test-images/nginx:1.28.0-2": _NGINX_IMAGE,
    "e2e-test-images/sample-apiserver:1.29.2": TestImage(
        programs={"sample-apiserver": "sample-apiserver"}, entrypoint=("/sample-apiserver",)
    ),
    "etcd:3.7.0-0": TestImage(programs={"usr/local/bin/etcd": "etcd"}, entrypoint=("/usr/local/bin/etcd",)),
}


def make(name: str, artifacts: Path) -> Repository:
    """An image of IMAGES, with the layers that the cache of artefacts has already."""
    image, blobs = IMAGES[name], BlobStore(artifacts)
    parts = []
    if image.root:
        parts.append(roots.make_root(name, image.root, blobs, artifacts / "roots"))
    parts.append(_own_layer(image, blobs))
    path, _, tag = name.partition(":")
    settings: dict[str, object] = {
        "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]
    }
    settings |= {"Entrypoint": list(image.entrypoint)} if image.entrypoint else {}
    settings |= {"Cmd": list(image.command)} if image.command else {}
    placed = [(part, blobs.path(part.digest)) for part in parts]
    return image_repository(f"{_REGISTRY}/{path}", tag, placed, settings, {})


def _own_layer(image: TestImage, blobs: BlobStore) -> Layer:
    module = suite.kubernetes()
    entries = [
        *(layers.file(path, suite.program(name), image.mode) for path, name in image.programs.items()),
        *(layers.file(path, text.encode()) for path, text in image.files.items()),
        *(layers.file(path, module / source) for path, source in image.sources.items()),
        *(layers.link(path, target) for path, target in image.links.items()),
    ]
    key = hash_value([_content(entry) for entry in entries])
    return blobs.find(key) or blobs.write(key, _with_folders(entries))


def _content(entry: Entry) -> list[str]:
    content = entry.content
    told = hash_file(content) if isinstance(content, Path) else (content or b"").decode()
    return [entry.header.name, entry.header.linkname, told]


def _with_folders(entries: Iterable[Entry]) -> list[Entry]:
    # Agnhost's guestbook writes there, and an image of one program has no /tmp.
    return layers.with_parents([*entries, layers.folder("uploads", 0o777), layers.folder("tmp", 0o1777)])
