"""Variables of classes: how nodes give away CPUs and memory, and in which other ways pods may run."""

from typing import Any

CLASSES: dict[str, dict[str, Any]] = {
    "node_cpu_manager": {
        "type": "dict",
        "description": "How the kubelet gives CPUs to pods (platformctl docs node-classes). Set on the "
        "host, or "
        "on a group of hosts. A change needs a node without pods.",
        "options": {
            "policy": {
                "required": True,
                "choices": ["none", "static"],
                "description": "With static, a container of a Guaranteed pod that asks for whole CPUs "
                "has them "
                "alone. It needs CPUs that are kept back (node_system_cpus).",
            },
            "options": {
                "type": "dict",
                "description": "What the static policy pays attention to.",
                "options": {
                    "full-pcpus-only": {"type": "bool", "description": "Give whole cores only."},
                    "distribute-cpus-across-numa": {
                        "type": "bool",
                        "description": "Spread CPUs evenly over NUMA nodes if one is not enough.",
                    },
                    "strict-cpu-reservation": {
                        "type": "bool",
                        "description": "No pod runs on the CPUs that are kept back. True if not given.",
                    },
                    "prefer-align-cpus-by-uncorecache": {
                        "type": "bool",
                        "description": "Prefer CPUs that share a last-level cache.",
                    },
                    "align-by-socket": {
                        "type": "bool",
                        "description": "Align CPUs by socket and not by NUMA node. Alpha in Kubernetes.",
                    },
                    "distribute-cpus-across-cores": {
                        "type": "bool",
                        "description": "Spread CPUs over cores. Alpha in Kubernetes.",
                    },
                },
            },
        },
    },
    "node_topology_manager": {
        "type": "dict",
        "description": "Whether a pod's CPUs, devices and memory must be of the same NUMA node. Set as "
        "node_cpu_manager.",
        "options": {
            "policy": {
                "required": True,
                "choices": ["none", "best-effort", "restricted", "single-numa-node"],
                "description": "The last two refuse a pod that cannot have it so.",
            },
            "scope": {
                "choices": ["container", "pod"],
                "description": "Whether this counts for each container or for the whole pod; container "
                "if not "
                "given.",
            },
            "options": {
                "type": "dict",
                "description": "Further options of the kubelet's topology manager.",
                "options": {
                    "prefer-closest-numa-nodes": {
                        "type": "bool",
                        "description": "If several NUMA nodes are needed, those next to each other.",
                    },
                    "max-allowable-numa-nodes": {
                        "type": "int",
                        "description": "How many NUMA nodes the host may have, at least 8. More cost time at "
                        "each pod.",
                    },
                },
            },
        },
    },
    "node_memory_manager": {
        "type": "dict",
        "description": "Whether the kubelet gives Guaranteed pods memory of certain NUMA nodes. Set as "
        "node_cpu_manager.",
        "options": {
            "policy": {
                "required": True,
                "choices": ["none", "static"],
                "description": "With static, memory and huge pages come from as few NUMA nodes as do.",
            },
            "reserved_on": {
                "type": "list",
                "elements": "int",
                "default": [0],
                "description": "NUMA nodes whose memory is what pods do not get: the system's, and that of "
                "Slurm on a shared node.",
            },
        },
    },
    "node_system_cpus": {
        "description": "CPUs that no scheduler gives away, as the kernel lists them, such as 0-1: for the "
        "system and its daemons. Set as node_cpu_manager.",
    },
    "node_hugepages": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "description": "Huge pages that the kernel keeps, from the start of the host. Pods ask for them as "
        "hugepages-SIZE; on a node of Slurm jobs use them as they are. Set as node_cpu_manager.",
        "options": {
            "size": {
                "required": True,
                "choices": ["2Mi", "1Gi"],
                "description": "The size of a page.",
            },
            "count": {"type": "int", "required": True, "description": "How many pages of this size."},
            "numa_node": {
                "type": "int",
                "description": "The NUMA node that they are of; spread over all if not given.",
            },
        },
    },
}

RUNTIMES: dict[str, dict[str, Any]] = {
    "kubernetes_runtime_classes": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "description": "Other ways to run pods, such as gVisor and Kata, and which nodes have them "
        "(platformctl docs "
        "node-classes). For all hosts.",
        "options": {
            "name": {"required": True, "description": "What pods ask for: their runtimeClassName."},
            "kind": {
                "choices": ["gvisor", "kata", "crun", "rootless", "other"],
                "default": "other",
                "description": "What it is. It decides what a node must have, and containerd's settings. "
                "With "
                "rootless a pod has users of its own (hostUsers: false), which needs containerd 2.",
            },
            "nodes": {
                "type": "list",
                "elements": "str",
                "description": "Hosts and groups of hosts that have it; all nodes of Kubernetes if not "
                "given.",
            },
            "handler": {"description": "Its name in containerd; the class's own name if not given."},
            "runtime_type": {
                "description": "containerd's type of it, such as io.containerd.runc.v2, which a program like "
                "runc needs and kind other has."
            },
            "options": {
                "type": "dict",
                "default": {},
                "description": "Options of the type, such as {BinaryName: /usr/local/bin/youki}.",
            },
            "programs": {
                "type": "list",
                "elements": "str",
                "description": "Programs that a node must have, by path or name. Those of its kind if "
                "not given.",
            },
            "devices": {
                "type": "list",
                "elements": "str",
                "description": "Device files that a node must have, such as /dev/kvm. Those of its kind "
                "if not "
                "given.",
            },
            "overhead": {
                "type": "dict",
                "description": "What a pod of it takes besides, which the scheduler counts.",
                "options": {
                    "cpu": {"description": "CPUs, such as 250m."},
                    "memory": {"description": "Memory, such as 160Mi."},
                },
            },
        },
    },
}
