"""Values of an inventory that are encrypted by themselves, as a person makes them."""

import subprocess
import sys
from pathlib import Path

from platformctl.site import secrets


def site_key(inventory: Path) -> Path:
    """The file with the key of a site that has secrets."""
    key = secrets.key_file(inventory)
    assert key, f"{inventory} has no secrets"
    return key


def encrypted(name: str, text: str, key: Path) -> str:
    """The lines of YAML that `ansible-vault encrypt_string` prints for a variable."""
    program = Path(sys.executable).with_name("ansible-vault")
    command = [program, "encrypt_string", "--vault-password-file", key, "--name", name, text]
    return subprocess.run(command, capture_output=True, check=True, text=True).stdout
