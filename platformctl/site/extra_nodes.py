"""Variables of the parts of a node: which CPUs, memory and devices belong to which scheduler."""

from typing import Any

from platformctl.site.processors import DEFAULT_SYSTEM_MEMORY_MIB

NODE_PARTS: dict[str, dict[str, Any]] = {
    "node_balance": {
        "type": "dict",
        "default": {},
        "description": "Whether `platformctl node balance` may give idle nodes that can move to the "
        "scheduler whose work waits, and within which bounds (platformctl docs hosts). For all hosts.",
        "options": {
            "enabled": {
                "type": "bool",
                "default": False,
                "description": "Whether nodes move by themselves at all.",
            },
            "slurm_at_least": {
                "type": "int",
                "default": 1,
                "description": "How many nodes in service Slurm keeps.",
            },
            "kubernetes_at_least": {
                "type": "int",
                "default": 1,
                "description": "How many nodes that take pods Kubernetes keeps.",
            },
            "waits_minutes": {
                "type": "int",
                "default": 5,
                "description": "How long work has waited before a node goes to it.",
            },
            "idle_minutes": {
                "type": "int",
                "default": 10,
                "description": "How long a node was idle before it goes.",
            },
            "stays_minutes": {
                "type": "int",
                "default": 30,
                "description": "How long a node stays with its new owner, so that it does not go to and fro.",
            },
            "at_once": {"type": "int", "default": 1, "description": "How many nodes move at a time."},
        },
    },
    "node_slurm_cpus": {
        "description": "CPUs of a shared node that are Slurm's, as the kernel lists them, such as "
        "0-7,16-23. The others are Kubernetes'. Without it both offer all CPUs and memory. Set on the host.",
    },
    "node_slurm_memory_mib": {
        "type": "int",
        "description": "Memory in MiB of a shared node that is Slurm's; goes with node_slurm_cpus. Set on "
        "the host.",
    },
    "node_system_memory_mib": {
        "type": "int",
        "default": DEFAULT_SYSTEM_MEMORY_MIB,
        "description": "Memory in MiB of a node that no scheduler gives away. The default counts with "
        "node_slurm_cpus only; other nodes keep nothing back. Set on the host or a group of hosts.",
    },
    "node_devices": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "description": "The table of a host's devices, from which both schedulers are configured "
        "(platformctl docs devices). Set on the host, or on a group of hosts that have the same devices.",
        "options": {
            "kind": {
                "required": True,
                "choices": ["gpu", "rdma", "other"],
                "description": "What the devices are. Jobs ask for gpu, rdma, or the name of another kind.",
            },
            "name": {"description": "What Jobs ask for devices of kind other by, such as fpga."},
            "vendor": {
                "description": "Maker, such as nvidia, amd or intel: a label of the node. For GPUs it "
                "decides the name of the resource in Kubernetes.",
            },
            "type": {"description": "Type by which Jobs choose, such as a100."},
            "files": {
                "type": "list",
                "elements": "str",
                "description": "Device files. /dev/nvidia[0-3] are four devices; two files with a comma "
                "between are one device.",
            },
            "count": {
                "type": "int",
                "description": "How many there are, of devices without files, such as licences.",
            },
            "common_files": {
                "type": "list",
                "elements": "str",
                "default": [],
                "description": "Files that each holder needs besides, such as /dev/nvidiactl.",
            },
            "cdi": {
                "type": "list",
                "elements": "str",
                "default": [],
                "description": "Names of the devices in CDI, in the order of files, such as "
                "nvidia.com/gpu=[0-3]. A pod then gets what the host's CDI files say of its device besides, "
                "such as the driver's libraries (nvidia-container-toolkit writes them).",
            },
            "owner": {
                "choices": ["slurm", "kubernetes"],
                "description": "Which scheduler has them: the host's owner if not given. On a shared host it "
                "must be given.",
            },
            "resource": {
                "description": "Name of the resource in Kubernetes, if it is not the usual one: that of the "
                "vendor for GPUs, rdma/hca, or platformctl.io/NAME.",
            },
            "slices": {
                "description": "Profile, such as 1g.10gb, if each entry is a slice (MIG) of a GPU. The site "
                "makes the slices.",
            },
            "sharing": {
                "type": "dict",
                "description": "How several holders use one device at the same time; without it each has "
                "its own.",
                "options": {
                    "how": {
                        "required": True,
                        "choices": ["time", "mps"],
                        "description": "By turns (time), or by NVIDIA's Multi-Process Service (mps), which "
                        "only Slurm offers.",
                    },
                    "holders": {
                        "type": "int",
                        "required": True,
                        "description": "The most holders of one device.",
                    },
                },
            },
            "health_check": {
                "choices": ["files", "xid", "link", "command", "none"],
                "description": "What takes a device out of service on both schedulers, beside a missing "
                "file: nothing more (files), a fatal Xid of NVIDIA's driver (xid), no active port (link), or "
                "a command of the site. With none nothing does. If not given, xid for GPUs of nvidia, link "
                "for rdma, files for others.",
            },
            "health_command": {
                "type": "list",
                "elements": "str",
                "description": "With health_check command: a program of the host and its arguments, run as "
                "root every 5 s for each device. {file} stands for the device's file. If it fails, the "
                "device is out of service, and the first line that it prints says why.",
            },
            "offered_by": {
                "choices": [
                    "platformctl",
                    "nvidia-device-plugin",
                    "rdma-shared-device-plugin",
                    "dra",
                    "plugin",
                ],
                "default": "platformctl",
                "description": "Who offers them in Kubernetes: platformctl's device plugin; NVIDIA's for "
                "GPUs, or k8s-rdma-shared-dev-plugin for RDMA, which platformctl installs; a DRA driver; or "
                "a plugin that the site installs.",
            },
            "dra_driver": {
                "description": "With offered_by dra: name of the driver, such as gpu.nvidia.com. Its devices "
                "are offered under the name of the resource too. The site installs the driver, except for "
                "gpu.example.com, which simulates GPUs.",
            },
            "interfaces": {
                "type": "list",
                "elements": "str",
                "default": [],
                "description": "With offered_by rdma-shared-device-plugin: the network interfaces of the "
                "devices, such as ib0.",
            },
        },
    },
}
