"""Rules on an existing Kubernetes or Slurm: which variables are needed, and which must not be set."""

from collections.abc import Iterator

from platformctl.site.mistakes import Mistake
from platformctl.site.rules.facts import Facts

_OF_HOSTS = ("kubernetes_control_plane", "kubernetes_node", "containerd", "registry")
_OF_EXISTING = ("kubernetes_kubeconfig", "kubernetes_context", "kubernetes_image_registry")
_ALWAYS = ("site_name", "site_domain")


def existing(facts: Facts) -> bool:
    """Whether the inventory uses an existing cluster."""
    setting = facts.shared("kubernetes_provider")
    return setting is not None and setting[1] == "existing"


def check(facts: Facts) -> Iterator[Mistake]:
    """All mistakes about an existing Kubernetes or Slurm."""
    yield from _existing(facts) if existing(facts) else _own(facts)
    yield from _slurm(facts)


def _existing(facts: Facts) -> Iterator[Mistake]:
    for group in _OF_HOSTS:
        if facts.members(group):
            problem = f"kubernetes_provider is existing, and group {group} has hosts"
            remedy = "take them out of the group, or set kubernetes_provider to kubeadm"
            yield facts.inventory.mistake(facts.inventory.groups[group].place, None, problem, remedy)
    if facts.shared("kubernetes_kubeconfig") is None:
        problem = "kubernetes_kubeconfig is not set, and needed for an existing cluster"
        yield facts.inventory.mistake((), None, problem, "set it in group_vars/all")
    # If there are hosts, their roles require these variables.
    for variable in _ALWAYS if not facts.effective.hosts else ():
        if facts.shared(variable) is None:
            yield facts.inventory.mistake((), None, f"{variable} is not set", "set it in group_vars/all")


def _own(facts: Facts) -> Iterator[Mistake]:
    for variable in _OF_EXISTING:
        if setting := facts.shared(variable):
            remedy = "remove it, or set kubernetes_provider to existing"
            yield setting[0].mistake((variable,), setting[1], "counts for an existing cluster only", remedy)


def _slurm(facts: Facts) -> Iterator[Mistake]:
    setting = facts.shared("slurm_rest_url")
    if setting and facts.members("slurm_rest"):
        remedy = "remove it, or empty group slurm_rest"
        yield setting[0].mistake(("slurm_rest_url",), setting[1], "the site runs a slurmrestd itself", remedy)
    text = facts.shared_text("slurm_rest_url")
    if text and not text[1].startswith(("https://", "http://")):
        remedy = "write it as https://HOST:6820"
        yield text[0].mistake(("slurm_rest_url",), text[1], "is not an http address", remedy)
