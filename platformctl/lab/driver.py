"""A stand-in for NVIDIA's driver on lab hosts: its management library (NVML), and the files that tell of it.

The library is nvml/nvml.c, which answers what a file beside it says. NVIDIA's own device plugin and the
service platformctl-device-health load it as they load NVIDIA's. The other files are what preflight looks for
and what NVIDIA's plugin brings into containers; no program of CUDA can run with them.
"""

import re
import tempfile
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path

from platformctl.errors import PlatformError
from platformctl.lab import podman
from platformctl.lab.hosts import Host
from platformctl.site.devices import GPU, Row

VERSION = "580.95.05"
LIBRARIES = "/usr/lib/x86_64-linux-gnu"
SETTINGS = f"{LIBRARIES}/libnvidia-ml.so.{VERSION}.conf"
"""What the library answers, on the host."""
MEMORY_MIB = 40960
_SOURCE = Path(__file__).parent / "nvml/nvml.c"
_NVIDIA = "nvidia"
_FILE = re.compile(r"/dev/nvidia(\d+)")
# The toolkit's hooks change the container that starts; these leave it as it is.
_INSTALL = f"""
set -eu
cd {LIBRARIES}
cat > {SETTINGS}
for name in ml cuda; do
  case $name in ml) library=libnvidia-ml;; *) library=libcuda;; esac
  cp /tmp/nvml.so $library.so.{VERSION}
  ln -sf $library.so.{VERSION} $library.so.1
done
rm /tmp/nvml.so
for program in nvidia-cdi-hook nvidia-ctk; do
  printf '#!/bin/sh\nexit 0\n' > /usr/bin/$program
  chmod 0755 /usr/bin/$program
done
ldconfig
"""


def ensure(host: Host, rows: Sequence[Row]) -> None:
    """Install the stand-in on a host whose table has GPUs of nvidia. Raises PlatformError."""
    text = settings(rows)
    if not text:
        return
    with tempfile.TemporaryDirectory() as folder:
        library = build(Path(folder))
        podman.run("cp", str(library), f"{host.container}:/tmp/nvml.so")
    podman.run("exec", "--interactive", host.container, "sh", "-c", _INSTALL, data=text)


def build(folder: Path) -> Path:
    """Compile the library into a folder. Raises PlatformError if there is no C compiler."""
    from platformctl.artifacts.process import run

    library = folder / "nvml.so"
    command = ["gcc", "-O1", "-shared", "-fPIC", "-Wl,-soname,libnvidia-ml.so.1", "-o", str(library)]
    try:
        run([*command, str(_SOURCE)], remedy="install gcc and libc6-dev")
    except FileNotFoundError as error:
        raise PlatformError("there is no C compiler", next="apt-get install gcc libc6-dev") from error
    return library


def settings(rows: Sequence[Row]) -> str:
    """What the library answers on a host with this table; empty without GPUs of nvidia."""
    lines = {}
    for row in rows:
        if row.kind != GPU or row.vendor != _NVIDIA:
            continue
        for files in row.devices:
            if found := next(filter(None, map(_FILE.fullmatch, files)), None):
                minor = int(found[1])
                lines[minor] = _gpu(minor, row)
    return "".join([f"driver {VERSION}\n", *(lines[minor] for minor in sorted(lines))]) if lines else ""


def changed(text: str, file: str, values: Mapping[str, int]) -> str:
    """The settings with other numbers for the GPU of a device file."""
    found = _FILE.fullmatch(file)
    lines = text.splitlines(keepends=True)
    for number, line in enumerate(lines):
        if found and line.startswith(f"gpu minor={found[1]} "):
            for name, value in values.items():
                line = re.sub(rf"\b{name}=\d+", f"{name}={value}", line)
            lines[number] = line
    return "".join(lines)


def identity(minor: int) -> str:
    """The UUID of a GPU, the same at each call."""
    return f"GPU-{uuid.uuid5(uuid.NAMESPACE_OID, f'platformctl-lab-{minor}')}"


def _gpu(minor: int, row: Row) -> str:
    name = f"NVIDIA-{(row.type or 'lab').upper()}"
    mig = int(bool(row.slices))
    words = f"gpu minor={minor} uuid={identity(minor)} name={name} memory_mib={MEMORY_MIB} capability=8.0"
    return f"{words} mig={mig} xid=0 lost=0\n"
