"""The job router's chart, rendered and applied to an API server; its policies hold when this returns."""

import asyncio
import subprocess
from pathlib import Path

from platformctl.clients.kubernetes import KubernetesClient, UnavailableError, from_kubeconfig
from platformctl.paths import data_dir
from platformctl.vocabulary import SUBMITTER, job_path
from tests.integration.control_plane import ADMIN, ControlPlane
from tests.programs import program


def install_chart(plane: ControlPlane, folder: Path, values: str, user: str) -> None:
    """Apply the chart with values (YAML) and wait until a Job that `user` creates gets its submitter."""
    helm, kubectl = program("helm"), program("kubectl")
    file = folder / "values.yaml"
    file.write_text(values)
    chart = data_dir() / "charts" / "job-router"
    rendered = subprocess.run(
        [helm, "template", "job-router", chart, "--skip-tests", "--values", file],
        check=True,
        capture_output=True,
    )
    subprocess.run(
        [kubectl, "--kubeconfig", plane.kubeconfig(ADMIN), "apply", "--server-side", "--wait", "-f", "-"],
        input=rendered.stdout,
        check=True,
    )
    asyncio.run(_until_stamped(plane, user))


async def _until_stamped(plane: ControlPlane, user: str) -> None:
    """Definitions and policies hold a moment after they are stored."""
    body = {
        "apiVersion": "kfoundry.io/v1alpha1",
        "kind": "Job",
        "metadata": {"generateName": "probe-"},
        "spec": {"script": "#!/bin/sh\n"},
    }
    alice = KubernetesClient(from_kubeconfig(plane.kubeconfig(user)))
    root = KubernetesClient(from_kubeconfig(plane.kubeconfig(ADMIN)))
    async with alice, root:
        for _ in range(100):
            await asyncio.sleep(0.1)
            try:
                metadata = (await alice.create(job_path("default"), body))["metadata"]
            except UnavailableError:
                continue
            here = job_path("default", metadata["name"])
            await root.delete(here)
            if metadata.get("finalizers"):
                await root.merge(here, {"metadata": {"finalizers": []}})
            if SUBMITTER in metadata.get("annotations", {}):
                return
    raise AssertionError("the submitter is not stamped")
