"""Builds the Kubernetes back end, with the watches that report its changes."""

from platformctl.router.assembly import Assembled, Surroundings
from platformctl.router.kubernetes import watches
from platformctl.router.kubernetes.backend import KubernetesBackend


async def build(around: Surroundings) -> Assembled:
    """Build it for every site: it is the router's own cluster."""
    batches = watches.of_batch_jobs(around.client, around.concerns)
    pods = watches.of_pods(around.client, around.concerns, around.overview)
    config = around.config
    backend = KubernetesBackend(
        around.client, config.site, config.script_image, config.kubernetes.array_at_once
    )
    return Assembled(backend, (batches, pods), watches.differing(batches, pods))
