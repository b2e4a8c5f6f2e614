"""Images for jobs: names, layers and the cache, against a registry with TLS on this machine."""

import argparse
import fcntl
import gzip
import hashlib
import http.server
import io
import json
import os
import platform
import shutil
import ssl
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import zstandard
from cryptography.hazmat.primitives import serialization

from platformctl import paths
from tests.ansible_files import installed_package, role_value
from tests.unit.roles.slurm.certificates import self_signed

SOURCE = paths.data_dir() / "roles/slurm_node/files/platform_run_image"
SITE = {
    "slurm_node_container_runtime": "podman",
    "slurm_node_container_options": [],
    "slurm_node_image_registry": "registry.lab.example:5000",
    "slurm_node_image_binds": ["/home"],
}


def settings_file(**variables):
    """The file of settings, as the role writes it."""
    return role_value("slurm_node", "_slurm_node_image_settings | to_nice_json", **{**SITE, **variables})


PLACE = tempfile.TemporaryDirectory()
run_image = installed_package(SOURCE, PLACE.name, {"settings.json": settings_file()})
caching = run_image("cache")
images = run_image("images")
names = run_image("names")
registry_module = run_image("registry")
settings = run_image("settings")
unpacked = run_image("unpacked")
ImageError = caching.ImageError


@pytest.mark.parametrize(
    "options",
    [
        [],
        ["--nv", "--bind=/a b:/c"],
        [
            '--annotation=note="a"',
            "--x='''",
            '"""',
            "--path=C:\\new\\",
            "--sum=1+1",
            "a\nb",
            "100%41",
            "--name=Zoë",
        ],
    ],
)
def test_the_sites_options_reach_the_settings_as_they_are(tmp_path, options):
    shutil.copy(SOURCE / "settings.py", tmp_path)
    (tmp_path / "settings.json").write_text(settings_file(slurm_node_container_options=options))
    found = {"__file__": str(tmp_path / "settings.py")}
    exec(compile((tmp_path / "settings.py").read_text(), "settings.py", "exec"), found)
    assert found["OPTIONS"] == options


def test_the_role_installs_every_module():
    listed = role_value("slurm_node", "_slurm_node_image_modules | sort | join(' ')").split()
    assert listed == sorted(path.stem for path in SOURCE.glob("*.py") if path.stem != "main")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("perl:5.34.0", ("docker.io/library/perl", "5.34.0")),
        ("perl", ("docker.io/library/perl", "latest")),
        ("rancher/mirror:v1", ("docker.io/rancher/mirror", "v1")),
        ("docker.io/perl:1", ("docker.io/library/perl", "1")),
        ("index.docker.io/library/perl:1", ("docker.io/library/perl", "1")),
        ("docker://quay.io/a/b/c:2", ("quay.io/a/b/c", "2")),
        ("ghcr.io/a/b@sha256:ff", ("ghcr.io/a/b", "sha256:ff")),
        ("localhost:5000/a:1", ("localhost:5000/a", "1")),
    ],
)
def test_names_mean_what_they_mean_to_container_engines(name, expected):
    assert names.parse(name) == expected


def test_the_sites_own_registry_is_not_a_part_of_the_repository(monkeypatch):
    monkeypatch.setattr(settings, "REGISTRY", "registry.site.example:5000")
    assert names.parse("registry.site.example:5000/team/tool:3") == ("team/tool", "3")


def layer(*entries):
    """Make a tar of (name, text); a name that ends in / is a folder, text starting with -> a link."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, text in entries:
            member = tarfile.TarInfo(name.rstrip("/"))
            member.mode = 0o755
            if name.endswith("/"):
                member.type, member.mode = tarfile.DIRTYPE, 0o555
            elif text.startswith("->"):
                member.type, member.linkname = tarfile.SYMTYPE, text[2:]
            else:
                member.size = len(text)
            archive.addfile(member, io.BytesIO(text.encode()) if member.size else None)
    return buffer.getvalue()


class Registry:
    """Serves manifests and blobs, and counts what it was asked for."""

    def __init__(self):
        self.content: dict[str, bytes] = {}
        self.asked: list[str] = []

    def blob(self, repository, data):
        digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
        self.content[f"/v2/{repository}/blobs/{digest}"] = data
        return {"digest": digest, "size": len(data)}

    def image(self, repository, tag, *layers, config=None):
        manifest = {
            "schemaVersion": 2,
            "config": self.blob(repository, json.dumps({"config": config or {}}).encode()),
            "layers": [self.blob(repository, data) for data in layers],
        }
        return self.manifest(repository, tag, manifest)

    def manifest(self, repository, tag, manifest):
        body = json.dumps(manifest).encode()
        digest = f"sha256:{hashlib.sha256(body).hexdigest()}"
        for reference in (tag, digest):
            self.content[f"/v2/{repository}/manifests/{reference}"] = body
        return digest

    def answer(self, handler):
        self.asked.append(handler.path)
        body = self.content.get(handler.path)
        handler.send_response(200 if body is not None else 404)
        handler.send_header("Content-Length", str(len(body or b"")))
        handler.end_headers()
        handler.wfile.write(body or b"")


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """A registry with TLS, and the folder with its certificate."""
    folder = tmp_path_factory.mktemp("tls")
    key, certificate = self_signed("127.0.0.1")
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "all.pem").write_bytes(pem + certificate.public_bytes(serialization.Encoding.PEM))
    registry = Registry()
    handler = type(
        "Handler",
        (http.server.BaseHTTPRequestHandler,),
        {"do_GET": lambda self: registry.answer(self), "log_message": lambda *_: None},
    )
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "all.pem")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield registry, server.server_address[1], folder / "all.pem"
    server.shutdown()


@pytest.fixture
def registry(served, tmp_path, monkeypatch):
    """A registry with nothing in it that the runner trusts, and an empty cache."""
    registry, port, authority = served
    registry.content.clear()
    registry.asked.clear()
    monkeypatch.setattr(settings, "REGISTRY", f"127.0.0.1:{port}")
    monkeypatch.setattr(settings, "BINDS", ["/home"])
    monkeypatch.setattr(caching, "CACHES", tmp_path)
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({}),
        urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=str(authority))),
    )
    monkeypatch.setattr("platform_run_image.registry._OPENER", opener)
    return registry


def obtain(name="tool:1"):
    return images.obtain(caching.Cache(), name) / "root"


def test_layers_are_unpacked_over_each_other(registry):
    low = layer(
        ("etc/", ""), ("etc/keep", "1"), ("etc/gone", "2"), ("data/", ""), ("data/old", "3"), ("bin/", "")
    )
    high = layer(("etc/.wh.gone", ""), ("data/.wh..wh..opq", ""), ("data/new", "4"), ("bin/tool", "5"))
    registry.image("docker.io/library/tool", "1", gzip.compress(low), zstandard.compress(high))
    root = obtain()
    files = {str(path.relative_to(root)): path.read_text() for path in root.rglob("*") if path.is_file()}
    assert {name: text for name, text in files.items() if text} == {
        "etc/keep": "1",
        "data/new": "4",
        "bin/tool": "5",
    }
    assert not list(root.rglob(".wh.*"))


def test_places_that_are_mounted_over_exist_and_stay_inside(registry, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    data = layer(
        ("home", f"->{outside}"),
        ("var", f"->{outside}"),
        ("etc/", ""),
        ("etc/resolv.conf", "->/run/resolv.conf"),
    )
    registry.image("docker.io/library/tool", "1", data)
    root = obtain()
    for place in ("home", "proc", "sys", "dev", "tmp", "var/tmp", "etc/resolv.conf", "etc/hosts"):
        assert (root / place).exists()
        assert (root / place).resolve().is_relative_to(root)
    assert list(outside.iterdir()) == []


@pytest.mark.parametrize("entry", ["out/evil", "../evil", "out/.wh.precious"])
def test_a_layer_that_reaches_out_of_its_image_is_refused(registry, tmp_path, entry):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").touch()
    low, high = layer(("out", f"->{outside}"), ("a", "1")), layer((entry, "1"))
    registry.image("docker.io/library/tool", "1", low, high)
    with pytest.raises(ImageError, match="reaches out of its image"):
        obtain()
    assert [path.name for path in outside.iterdir()] == ["precious"]


def test_the_image_of_this_processor_is_taken_from_an_index(registry):
    machine = registry_module.MACHINES[platform.machine()]
    digest = registry.image("docker.io/library/tool", "mine", layer(("mine", "1")))
    other = registry.image("docker.io/library/tool", "other", layer(("other", "1")))
    entries = [
        {"digest": other, "platform": {"os": "linux", "architecture": "mips"}},
        {"digest": digest, "platform": {"os": "linux", "architecture": machine}},
    ]
    registry.manifest("docker.io/library/tool", "1", {"manifests": entries})
    assert (obtain() / "mine").exists()
    registry.manifest("docker.io/library/tool", "2", {"manifests": entries[:1]})
    with pytest.raises(ImageError, match="no image for"):
        obtain("tool:2")


def test_a_missing_image_is_said_so(registry):
    with pytest.raises(ImageError, match="there is no such image"):
        obtain("nothing:1")


def test_a_corrupted_layer_is_refused_and_leaves_nothing(registry, tmp_path):
    registry.image("docker.io/library/tool", "1", layer(("a", "1")))
    for path in registry.content:
        if "/blobs/" in path and b'"config"' not in registry.content[path]:
            registry.content[path] += b"x"
    with pytest.raises(ImageError, match="wrong digest"):
        obtain()
    cache = tmp_path / f"platform-images-{os.getuid()}"
    assert not [entry.name for entry in cache.iterdir() if entry.is_dir()]


def test_a_layer_that_is_no_archive_is_refused(registry):
    registry.image("docker.io/library/tool", "1", b"no archive at all, and long enough to be read" * 50)
    with pytest.raises(ImageError, match="could not be unpacked"):
        obtain()


def test_many_tasks_at_once_pull_once(registry):
    registry.image("docker.io/library/tool", "1", layer(("a", "1")))
    with ThreadPoolExecutor(8) as pool:
        roots = set(pool.map(lambda _: obtain(), range(8)))
    assert len(roots) == 1
    assert sum("/blobs/" in path for path in registry.asked) == 2


def test_a_pull_does_not_wait_for_tasks_that_have_the_image(registry):
    digest = registry.image("docker.io/library/tool", "1", layer(("a", "1")))
    other_task = caching.Cache().lock(digest.replace(":", "-"), fcntl.LOCK_SH)
    found = []
    thread = threading.Thread(target=lambda: found.append(obtain()), daemon=True)
    thread.start()
    thread.join(30)
    os.close(other_task)
    assert [path.is_dir() for path in found] == [True]


def test_a_silent_registry_leaves_the_images_that_are_here(registry, monkeypatch, capsys):
    registry.image("docker.io/library/tool", "1", layer(("a", "1")))
    root = obtain()
    monkeypatch.setattr(settings, "REGISTRY", "127.0.0.1:1")
    assert obtain() == root
    assert "does not answer" in capsys.readouterr().err
    with pytest.raises(ImageError, match="does not answer"):
        obtain("other:1")


def test_a_cache_that_somebody_else_can_write_is_refused(registry, tmp_path):
    trap = tmp_path / f"platform-images-{os.getuid()}"
    trap.mkdir()
    trap.chmod(0o777)
    with pytest.raises(ImageError, match="not a private folder"):
        caching.Cache()


def test_images_without_use_are_removed_unless_a_job_has_them(registry):
    registry.image("docker.io/library/idle", "1", layer(("a", "1")))
    registry.image("docker.io/library/busy", "1", layer(("b", "1")))
    cache = caching.Cache()
    idle, busy = (images.obtain(cache, f"{name}:1") for name in ("idle", "busy"))
    close_lock_of(idle)
    long_ago = time.time() - caching.KEPT_SECONDS - 60
    for image in (idle, busy):
        os.utime(image / "used", (long_ago, long_ago))
    cache.prune()
    assert not idle.exists()
    assert busy.exists()


def entries(tmp_path):
    """Folders in the user's cache, by name."""
    return {entry.name for entry in (tmp_path / f"platform-images-{os.getuid()}").iterdir() if entry.is_dir()}


def test_what_killed_pulls_left_is_removed_but_not_a_pull_that_goes_on(registry, tmp_path):
    cache = caching.Cache()
    for name in ("sha256-killed", "sha256-going-on", "of-an-older-version"):
        (cache.root / f"pull-{name}" / "image" / "root").mkdir(parents=True)
    descriptor = cache.lock("sha256-going-on", fcntl.LOCK_EX)
    cache.prune()
    assert entries(tmp_path) == {"pull-sha256-going-on"}
    os.close(descriptor)
    cache.prune()
    assert entries(tmp_path) == set()


def test_a_pull_begins_anew_where_a_killed_one_stopped(registry, tmp_path):
    digest = registry.image("docker.io/library/tool", "1", layer(("a", "1"))).replace(":", "-")
    left = tmp_path / f"platform-images-{os.getuid()}" / f"pull-{digest}" / "image" / "root" / "left"
    caching.Cache()
    left.mkdir(parents=True)
    assert not (obtain() / "left").exists()
    assert entries(tmp_path) == {digest}


def idle_image(registry, name):
    """Pull an image that nobody has used for long."""
    registry.image(f"docker.io/library/{name}", "1", layer(("a", name), ("b", "2")))
    image = images.obtain(caching.Cache(), f"{name}:1")
    close_lock_of(image)
    long_ago = time.time() - caching.KEPT_SECONDS - 60
    os.utime(image / "used", (long_ago, long_ago))
    return image


@pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes other users")
def test_caches_of_users_who_do_not_come_back_are_cleaned_with_their_rights():
    with tempfile.TemporaryDirectory() as folder:  # others may not enter pytest's own
        caches = Path(folder)
        caches.chmod(0o755)
        idle, attacker = old_cache(caches, 20001), old_cache(caches, 20002)
        # Links to what another user or root has, and a folder with a name that is not its user's.
        (attacker / "pull-trap").symlink_to(idle)
        (attacker / "sha256-trap.lock").symlink_to(caches / "made-by-root")
        (attacker / "sha256-trap").symlink_to(idle / "sha256-kept")
        (caches / "platform-images-20003").symlink_to(idle)
        (caches / "platform-images-0").mkdir(mode=0o700)
        for path in (
            *attacker.glob("*trap*"),
            caches / "platform-images-20003",
            caches / "platform-images-0",
        ):
            os.chown(path, 20002, 20002, follow_symlinks=False)
        before = set(caches.iterdir())
        script = "import sys, pathlib; from platform_run_image import cache, clean; "
        script += "cache.CACHES = pathlib.Path(sys.argv[1]); clean.main()"
        command = [sys.executable, "-c", script, folder]
        subprocess.run(command, env={"PYTHONPATH": PLACE.name}, check=True, timeout=60)
        for cache in (idle, attacker):
            assert not (cache / "sha256-old").exists()
            assert (cache / "sha256-kept" / "used").exists()
            assert (cache / "sha256-old.lock").stat().st_uid == cache.stat().st_uid
        assert set(caches.iterdir()) == before


def old_cache(caches, user):
    """A user's cache with an image that has been idle for long and one that was used just now."""
    cache = caches / f"platform-images-{user}"
    for name in ("sha256-old", "sha256-kept"):
        (cache / name).mkdir(parents=True)
        (cache / name / "used").touch()
    long_ago = time.time() - caching.KEPT_SECONDS - 60
    os.utime(cache / "sha256-old" / "used", (long_ago, long_ago))
    for path in (cache, *cache.rglob("*")):
        os.chown(path, user, user)
    cache.chmod(0o700)
    return cache


def test_a_cleaning_that_is_killed_leaves_no_half_image(registry, monkeypatch):
    image = idle_image(registry, "tool")

    def killed(folder, **_):
        if folder.exists():
            (folder / "root" / "a").unlink()
            raise KeyboardInterrupt

    rmtree = shutil.rmtree
    monkeypatch.setattr(shutil, "rmtree", killed)
    with pytest.raises(KeyboardInterrupt):
        caching.Cache().prune()
    monkeypatch.setattr(shutil, "rmtree", rmtree)
    assert not image.exists()
    assert (obtain() / "a").read_text() == "tool"


def test_jobs_that_clean_at_the_same_time_do_not_fail(registry):
    for number in range(20):
        idle_image(registry, f"tool{number}")
    with ThreadPoolExecutor(8) as pool:
        done = list(pool.map(lambda _: caching.Cache().prune(), range(8)))
    assert done == [None] * 8
    assert not list(caching.Cache().root.glob("sha256-*/"))


def test_an_image_that_a_job_took_up_again_is_not_removed(registry, monkeypatch):
    image = idle_image(registry, "tool")
    cache = caching.Cache()
    lock = cache.lock
    # Between the look at its age and the lock, a short job has used it and ended.
    monkeypatch.setattr(cache, "lock", lambda *arguments: (image / "used").touch() or lock(*arguments))
    cache.prune()
    assert (image / "root" / "a").exists()


def close_lock_of(image):
    """Let go of an image as the end of its job would."""
    for entry in Path("/proc/self/fd").iterdir():
        try:
            target = entry.readlink()
        except FileNotFoundError:
            continue
        if target.name == f"{image.name}.lock":
            os.close(int(entry.name))


def test_the_jobs_variables_win_and_the_path_is_the_images(registry, monkeypatch):
    monkeypatch.setenv("LANG", "C.UTF-8")
    monkeypatch.setenv("PATH", "/opt/host/bin:/usr/bin:/bin")
    config = {"Env": ["PATH=/image/bin", "LANG=de_DE", "ONLY_IMAGE=1"]}
    registry.image("docker.io/library/tool", "1", layer(("a", "1")), config=config)
    image = unpacked.Unpacked("tool:1")
    assert image.inside() == {"PATH": "/image/bin", "ONLY_IMAGE": "1"}
    assert image.environment()["LANG"] == "C.UTF-8"


@pytest.mark.parametrize("runtime", ["charliecloud", "podman", "apptainer"])
def test_an_images_variables_reach_the_container_and_no_program_of_the_host(registry, monkeypatch, runtime):
    monkeypatch.delenv("LD_PRELOAD", raising=False)
    own = {"LD_PRELOAD": "/image/lib.so", "CONTAINER_HOST": "tcp://192.0.2.1", "PYTHONHOME": "/image"}
    config = {"Env": [f"{key}={value}" for key, value in own.items()]}
    registry.image("docker.io/library/tool", "1", layer(("a", "1")), config=config)
    program = run_image(runtime)
    arguments, variables = program.start("tool:1", ["true"])
    assert not own.keys() & variables.keys()
    options = {"charliecloud": "--set-env={}={}", "podman": "--env={}={}"}
    for key, value in own.items():
        if runtime in options:
            assert options[runtime].format(key, value) in arguments
        else:
            assert variables[f"APPTAINERENV_{key}"] == value


def test_a_jobs_variables_do_not_change_how_layers_are_unpacked(registry, tmp_path, monkeypatch):
    (tmp_path / "tar").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "tar").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("TAR_OPTIONS", "--no-such-option")
    registry.image("docker.io/library/tool", "1", zstandard.compress(layer(("a", "1"))))
    assert (obtain() / "a").exists()


@pytest.mark.parametrize("variable", ["PYTHONHOME", "PYTHONPATH"])
def test_the_program_starts_whatever_python_the_job_is_told_of(tmp_path, variable):
    """As in a script of a job for a Python of its own."""
    installed = tmp_path / "lib" / "platform_run_image"
    shutil.copytree(SOURCE, installed)
    (installed / "settings.json").write_text(settings_file())
    program = tmp_path / "platform-run-image"
    text = (
        (SOURCE / "main.py").read_text().replace("/usr/local/lib/platform-run-image", str(tmp_path / "lib"))
    )
    program.write_text(text)
    program.chmod(0o755)
    trap = tmp_path / "trap"
    trap.mkdir()
    (trap / "argparse.py").write_text("raise SystemExit(3)\n")
    done = subprocess.run(
        [program, "--help"], env={variable: str(trap)}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "usage: platform-run-image" in done.stdout


def test_the_program_says_in_words_that_an_image_is_missing(registry, monkeypatch, capsys):
    monkeypatch.setattr(settings, "RUNTIME", "podman")
    monkeypatch.setattr(sys, "argv", ["platform-run-image", "nothing:1", "--", "true"])
    with pytest.raises(SystemExit) as ended:
        run_image("main").main()
    assert ended.value.code == 125
    assert "platform-run-image: nothing:1: there is no such image" in capsys.readouterr().err


# What stands between the runtime and the command, where ROOT is the unpacked image and CACHE the user's.
EXPECTED = {
    "charliecloud": """/usr/bin/ch-run --write-fake --bind=/home:/home --site-option
        --set-env=HOME=/home/alice --set-env=PATH=/image/bin --env-no-expand --cd=/tmp ROOT --""",
    "podman": """/usr/bin/unshare --user --map-root-user --mount /bin/sh -c PREPARE sh CACHE/podman ROOT
        /usr/bin/podman --log-level=fatal --root=CACHE/podman/store --runroot=CACHE/podman/run
        --storage-driver=vfs --runtime=crun --cgroup-manager=cgroupfs --events-backend=none
        run --rm --init --log-driver=passthrough --cgroups=disabled --network=host --ipc=host --uts=host
        --userns=keep-id --group-add=keep-groups --security-opt=label=disable --volume=/dev:/dev:rslave
        --volume=/tmp:/tmp:rslave --volume=/var/tmp:/var/tmp:rslave --volume=/home:/home:rslave
        --env=USER --env=HOME=/home/alice --env=SECRET --env=PATH=/image/bin --workdir=/tmp --entrypoint=[]
        --site-option
        --rootfs CACHE/podman/image""",
    "apptainer": """/usr/bin/apptainer --silent exec --userns --writable-tmpfs --no-mount=home,cwd,tmp
        --bind=/tmp:/tmp --bind=/var/tmp:/var/tmp --bind=/home:/home --site-option --pwd=/tmp ROOT""",
    "pyxis": """/usr/bin/srun --overlap --nodes=1 --ntasks=1
        --container-image=REGISTRY#docker.io/library/tool:1 --container-mounts=/tmp:/tmp,/home:/home
        --container-workdir=/tmp --container-env=HOME,SECRET --no-container-remap-root
        --no-container-mount-home --no-container-entrypoint --container-writable --site-option""",
}


@pytest.mark.parametrize("runtime", EXPECTED)
@pytest.mark.parametrize("words", [["echo", "a b"], []])
def test_each_runtime_gets_its_exact_command_line(registry, tmp_path, monkeypatch, runtime, words):
    """Recorded by a stand-in for the runtime: apptainer and pyxis are no packages of Debian."""
    digest = registry.image(
        "docker.io/library/tool", "1", layer(("a", "1")), config={"Env": ["PATH=/image/bin"], "Cmd": ["own"]}
    )
    monkeypatch.setattr(settings, "OPTIONS", ["--site-option"])
    monkeypatch.chdir("/tmp")
    for name in list(os.environ):
        monkeypatch.delenv(name)
    for name, value in {"PATH": "/usr/bin:/bin", "HOME": "/home/alice", "SECRET": "s3"}.items():
        monkeypatch.setenv(name, value)
    program = run_image(runtime)
    arguments, variables = program.start("tool:1", words)

    stand_in = tmp_path / "stand-in"
    stand_in.write_text('#!/bin/sh\nfor word; do printf \'%s\\0\' "$word"; done\nprintf %s "$SECRET"\n')
    stand_in.chmod(0o755)
    out = subprocess.run(
        [stand_in, *arguments], env=variables, capture_output=True, text=True, check=True
    ).stdout
    *recorded, secret = out.split("\0")

    cache = tmp_path / f"platform-images-{os.getuid()}"
    stands_for = {
        "ROOT": f"{cache}/{digest.replace(':', '-')}/root",
        "CACHE": str(cache),
        "REGISTRY": settings.REGISTRY,
    }
    expected = EXPECTED[runtime]
    for name, value in stands_for.items():
        expected = expected.replace(name, value)
    wanted = [getattr(program, "PREPARE", "") if word == "PREPARE" else word for word in expected.split()]
    assert recorded == wanted + (words or ["own"])
    assert secret == "s3"
    assert not any("s3" in word for word in recorded)


def test_apptainer_takes_the_images_path(registry, monkeypatch):
    registry.image("docker.io/library/tool", "1", layer(("a", "1")), config={"Env": ["PATH=/image/bin"]})
    apptainer = run_image("apptainer")
    assert apptainer.start("tool:1", ["true"])[1]["APPTAINERENV_PATH"] == "/image/bin"


def test_pyxis_refuses_tasks_that_would_all_be_the_first(registry, monkeypatch):
    monkeypatch.setenv("SLURM_STEP_NUM_TASKS", "4")
    pyxis = run_image("pyxis")
    with pytest.raises(ImageError, match="srun --container-image"):
        pyxis.start("tool:1", ["true"])


def test_pyxis_says_in_words_that_an_image_is_missing(registry):
    pyxis = run_image("pyxis")
    with pytest.raises(ImageError, match="there is no such image"):
        pyxis.start("nothing:1", ["true"])


@pytest.mark.parametrize("runtime", ["charliecloud", "podman", "apptainer", "pyxis"])
def test_what_a_job_wants_of_its_container(registry, tmp_path, monkeypatch, runtime):
    """Folders in it, its place of start, and arguments for the image's entry point."""
    config = {"Entrypoint": ["/enter", "-x"], "Cmd": ["own"], "WorkingDir": "/made/by/image"}
    registry.image("docker.io/library/tool", "1", layer(("a", "1")), config=config)
    monkeypatch.chdir("/tmp")
    wishes = run_image("wishes")
    file = tmp_path / "file"
    file.touch()
    mounts = (wishes.Mount(str(tmp_path), "/in", True), wishes.Mount(str(file), "/etc/own/file"))
    program = run_image(runtime)
    arguments, _ = program.start("tool:1", ["run"], wishes.Wishes(mounts, wishes.OF_IMAGE, True))
    assert arguments[-3:] == ["/enter", "-x", "run"]
    assert any(word.endswith("/made/by/image") for word in arguments)
    joined = " ".join(arguments)
    ending = "" if runtime == "charliecloud" else ":ro"
    assert f"{tmp_path}:/in{ending}" in joined
    assert f"{file}:/etc/own/file" in joined
    if runtime == "charliecloud":
        root = unpacked.Unpacked("tool:1").root
        assert (root / "made/by/image").is_dir()
        assert (root / "etc/own/file").is_file()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--mount=/a:/b", "--mount=/c:/d:ro", "--cd=/w", "--entrypoint"], "/a:/b /c:/d:ro /w True"),
        (["--cd=image"], "image False"),
        ([], "False"),
    ],
)
def test_the_options_of_the_command(words, expected):
    wishes = run_image("wishes")
    parser = argparse.ArgumentParser()
    wishes.add_options(parser)
    read = wishes.read_options(parser.parse_args(words))
    assert " ".join(filter(None, [*map(str, read.mounts), read.folder, str(read.entrypoint)])) == expected


@pytest.mark.parametrize("mount", ["a:/b", "/a:b", "/a", "/a:/b:rw"])
def test_a_mount_that_is_none_is_a_usage_error(mount):
    parser = argparse.ArgumentParser()
    run_image("wishes").add_options(parser)
    with pytest.raises(SystemExit):
        parser.parse_args([f"--mount={mount}"])
