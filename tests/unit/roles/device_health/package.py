"""The modules of the service for device health, as the role installs them."""

import tempfile

from platformctl import paths
from tests.ansible_files import installed_package

SOURCE = paths.data_dir() / "roles/device_health/files/platformctl_device_health"
_PLACE = tempfile.TemporaryDirectory()
module = installed_package(SOURCE, _PLACE.name, {})
