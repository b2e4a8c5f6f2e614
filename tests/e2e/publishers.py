"""A local server that plays the publishers of programs and images, under their names and with their layouts.

It listens on an address of the loopback network with certificates of a CA of its own; a command reaches it in
a mount namespace whose /etc/hosts has the names, so that the machine's own file is never touched. What it
serves comes from a store that is filled: what another version would hold stands in for the publisher's.
"""

import http.server
import io
import json
import re
import ssl
import subprocess
import tarfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from platformctl.artifacts.catalogue import Catalogue
from platformctl.artifacts.registry_layout import MANIFEST_TYPE, ROOT

ADDRESS = "127.0.43.1"
INDEX_TYPE = "application/vnd.oci.image.index.v1+json"
# Whom a registry asks to fetch a token first, and where each one sends a client for the bytes of a blob.
TOKENS = {
    "ghcr.io": ("https://ghcr.io/token", "ghcr.io"),
    "registry-1.docker.io": ("https://auth.docker.io/token", "registry.docker.io"),
}
BLOBS = {
    "ghcr.io": "https://pkg-containers.githubusercontent.com/ghcr1/blobs/sha256:{digest}?sig=x",
    "registry-1.docker.io": "https://production.cloudflare.docker.com/registry-v2/docker/registry/v2/blobs"
    "/sha256/{short}/{digest}/data?verify=x",
    "registry.k8s.io": "https://prod-registry-k8s-io-eu-west-1.s3.dualstack.eu-west-1.amazonaws.com"
    "/containers/images/sha256:{digest}",
}
MANIFESTS = {"registry.k8s.io": "https://europe-west1-docker.pkg.dev/v2/k8s-artifacts-prod/images/"}
REGISTRIES = {"docker.io": "registry-1.docker.io"}
NAMES = sorted(
    {
        *("dl.k8s.io", "cdn.dl.k8s.io", "github.com", "release-assets.githubusercontent.com"),
        *("get.helm.sh", "registry.k8s.io"),
        *(urlsplit(url).netloc for url in (*BLOBS.values(), *MANIFESTS.values())),
        *TOKENS,
        *(urlsplit(realm).netloc for realm, _ in TOKENS.values()),
    }
)


@dataclass(frozen=True)
class Part:
    """Bytes of a file."""

    path: Path
    offset: int = 0
    size: int = -1

    def read(self) -> bytes:
        """The bytes."""
        with self.path.open("rb") as file:
            file.seek(self.offset)
            return file.read(self.size)


@dataclass(frozen=True)
class Answer:
    """A response, its body here or in a file."""

    status: int = 200
    body: bytes | Part = b""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Publishers:
    """What is published, by host and path, and what was asked for."""

    pages: dict[tuple[str, str], Answer] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)
    leaked: list[str] = field(default_factory=list)
    """Hosts that got a token which was another's."""

    def answer(self, host: str, target: str, headers: Mapping[str, str]) -> Answer:
        """What a client gets for a request."""
        parts = urlsplit(target)
        self.asked.append((host, parts.path))
        token = headers.get("Authorization", "")
        if parts.path == "/token":
            (scope,) = parse_qs(parts.query)["scope"]
            body = json.dumps({"token": f"anonymous for {scope}"}).encode()
            return Answer(body=body, headers={"Content-Type": "application/json"})
        if host in TOKENS and parts.path.startswith("/v2/"):
            scope = f"repository:{_repository(parts.path)}:pull"
            if token != f"Bearer anonymous for {scope}":
                realm, service = TOKENS[host]
                challenge = f'Bearer realm="{realm}",service="{service}",scope="{scope}"'
                return Answer(401, headers={"WWW-Authenticate": challenge})
        elif token:
            self.leaked.append(host)
        return self.pages.get((host, parts.path), Answer(404))

    def send_on(self, host: str, path: str, url: str, answer: Answer) -> None:
        """Publish something behind a redirection, as those do that have a content delivery network."""
        parts = urlsplit(url)
        self.pages[host, path] = Answer(302, headers={"Location": url})
        self.pages[parts.netloc, parts.path] = answer


def publish(store: Path, catalogue: Catalogue) -> Publishers:
    """Everything that the sources `upstream` and `mirror` download, from the store of any source."""
    found = Publishers()
    version = {name: program.version for name, program in catalogue.published().programs.items()}
    for name in ("kubeadm", "kubelet", "kubectl"):
        path = f"/v{version[name]}/bin/linux/amd64/{name}"
        found.send_on(
            "dl.k8s.io", path, f"https://cdn.dl.k8s.io/release{path}", Answer(body=Part(store / "bin" / name))
        )
    etcd = f"etcd-v{version['etcdctl']}-linux-amd64"
    _release(found, "etcd-io/etcd", f"v{version['etcdctl']}/{etcd}.tar.gz", store, f"{etcd}/etcdctl")
    plugins = f"v{version['flannel-cni']}/cni-plugins-linux-amd64-v{version['flannel-cni']}.tgz"
    _release(found, "containernetworking/plugins", plugins, store, "./flannel", "flannel-cni")
    helm = _archive(store / "bin" / "helm", "linux-amd64/helm")
    found.pages["get.helm.sh", f"/helm-v{version['helm']}-linux-amd64.tar.gz"] = Answer(body=helm)
    index = json.loads((store / "index.json").read_text())
    for name, image in catalogue.published().images.items():
        # What only some sites want is not in the store of the others.
        if not image.ours and not image.only_for:
            record = index["images"][name]
            digest = record["digest"].removeprefix("sha256:")
            _image(found, name, image.tag, store / record["archive"], digest)
    return found


def image_pages(name: str, tag: str) -> tuple[str, str]:
    """Host and path at which the tag of an image is asked for."""
    host, _, repository = name.partition("/")
    return REGISTRIES.get(host, host), f"/v2/{repository}/manifests/{tag}"


def _release(
    found: Publishers, repository: str, file: str, store: Path, member: str, program: str = ""
) -> None:
    body = _archive(store / "bin" / (program or Path(member).name), member)
    assets = f"https://release-assets.githubusercontent.com/github-production-release-asset/{file}?sig=x"
    found.send_on("github.com", f"/{repository}/releases/download/{file}", assets, Answer(body=body))


def _archive(program: Path, member: str) -> bytes:
    """An archive like those of releases, hardly compressed, which would take longer than all the rest."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz", compresslevel=1) as archive:
        archive.add(program, member)
    return stream.getvalue()


def _image(found: Publishers, name: str, tag: str, archive: Path, manifest: str) -> None:
    """An image for two platforms, of which only ours is there. manifest: its digest."""
    blobs = dict(_blobs(archive))
    ours = {"mediaType": MANIFEST_TYPE, "digest": f"sha256:{manifest}", "size": blobs[manifest].size}
    other = {**ours, "digest": f"sha256:{'0' * 64}", "platform": {"os": "linux", "architecture": "arm64"}}
    platforms = [other, {**ours, "platform": {"os": "linux", "architecture": "amd64"}}]
    index = {"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": platforms}
    host, path = image_pages(name, tag)
    repository = path.removesuffix(f"/manifests/{tag}")
    _manifest(found, host, path, Answer(body=json.dumps(index).encode()))
    _manifest(found, host, f"{repository}/manifests/sha256:{manifest}", Answer(body=blobs.pop(manifest)))
    for digest, blob in blobs.items():
        url = BLOBS[host].format(digest=digest, short=digest[:2])
        found.send_on(host, f"{repository}/blobs/sha256:{digest}", url, Answer(body=blob))


def _manifest(found: Publishers, host: str, path: str, answer: Answer) -> None:
    if base := MANIFESTS.get(host):
        found.send_on(host, path, base + path.removeprefix("/v2/"), answer)
    else:
        found.pages[host, path] = answer


def _blobs(archive: Path) -> Iterator[tuple[str, Part]]:
    """The blobs in an archive of the store, by digest."""
    with tarfile.open(archive) as members:
        for member in members:
            if member.isfile() and member.name.startswith(f"{ROOT}/blobs/"):
                yield Path(member.name).parent.name, Part(archive, member.offset_data, member.size)


def _repository(path: str) -> str:
    return re.sub(r"^/v2/|/(manifests|blobs)/[^/]+$", "", path)


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    publishers: Publishers

    def do_GET(self) -> None:
        """Answer, and count what was asked for."""
        host = self.headers["Host"]
        answer = self.publishers.answer(host, self.path, dict(self.headers))
        body = answer.body.read() if isinstance(answer.body, Part) else answer.body
        self.send_response(answer.status)
        for name, value in {**answer.headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: `asked` has it."""


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, handler: type[_Handler], context: ssl.SSLContext) -> None:
        super().__init__((ADDRESS, 443), handler)
        # The handshake is the thread's, so that a client that does not finish it holds nobody up.
        self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is none of our concern."""


@contextmanager
def serving(publishers: Publishers, folder: Path) -> Iterator[Callable[[Sequence[str]], list[str]]]:
    """Serve; yields what turns a command into one that finds the publishers here.

    folder: for the certificates; ca.pem holds the machine's own authorities too.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*_certificate(folder))
    hosts = folder / "hosts"
    hosts.write_text(f"{Path('/etc/hosts').read_text()}\n{ADDRESS} {' '.join(NAMES)}\n")
    server = _Server(type("Handler", (_Handler,), {"publishers": publishers}), context)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True)
    thread.start()
    script = 'mount --bind "$1" /etc/hosts && shift && exec "$@"'

    def within(command: Sequence[str]) -> list[str]:
        return ["unshare", "--mount", "--", "sh", "-c", script, "sh", str(hosts), *command]

    try:
        yield within
    finally:
        server.shutdown()
        server.server_close()


def _certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate for all names, and its key; the CA's joins the machine's in ca.pem."""

    def make(name: str, *arguments: str, **extensions: str) -> None:
        added = [part for item in extensions.items() for part in ("-addext", "=".join(item))]
        command = [
            "openssl",
            "req",
            "-x509",
            "-config",
            "empty",
            "-subj",
            f"/CN={name}",
            "-days",
            "2",
            "-nodes",
        ]
        key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-keyout", f"{name}.key"]
        command += [*key, "-out", f"{name}.pem", *arguments, *added]
        subprocess.run(command, cwd=folder, check=True, capture_output=True)

    (folder / "empty").write_text("[req]\ndistinguished_name = name\n[name]\n")
    identifier = {"subjectKeyIdentifier": "hash"}
    make("own", **identifier, basicConstraints="critical,CA:TRUE", keyUsage="critical,keyCertSign")
    names = ",".join(f"DNS:{name}" for name in NAMES)
    issued = {**identifier, "authorityKeyIdentifier": "keyid", "subjectAltName": names}
    make("tls", "-CA", "own.pem", "-CAkey", "own.key", **issued, basicConstraints="critical,CA:FALSE")
    machine = ssl.get_default_verify_paths().cafile
    authorities = Path(machine).read_text() if machine else ""
    (folder / "ca.pem").write_text(authorities + (folder / "own.pem").read_text())
    return folder / "tls.pem", folder / "tls.key"
