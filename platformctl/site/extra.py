"""Variables that no role declares (connections, a host's owner, the lab), in the form of argument_specs."""

from typing import Any

from platformctl.site.extra_classes import CLASSES, RUNTIMES
from platformctl.site.extra_nodes import NODE_PARTS

CLOSED = ("169.254.0.0/16",)
"""What is no internet by default: clouds tell there what their machines may do."""

EXTRA: dict[str, dict[str, Any]] = {
    "node_owner": {
        "choices": ["slurm", "kubernetes", "shared"],
        "description": "Which scheduler may use the host; shared means both at once. Set on the host.",
    },
    **NODE_PARTS,
    **CLASSES,
    **RUNTIMES,
    "takeover": {
        "type": "list",
        "elements": "str",
        "default": [],
        "description": "What others have on hosts and platformctl may take over, by the names that preflight "
        "gives: packages, services, leftovers. `reset` brings it back. It may stay here after that.",
    },
    "artifacts_mirror_url": {
        "description": "Address of the site's own server of artifacts, for artifacts_source mirror.",
    },
    "kubernetes_provider": {
        "choices": ["kubeadm", "existing"],
        "default": "kubeadm",
        "description": "Who makes the cluster: platformctl on the site's hosts, or others (existing).",
    },
    "kubernetes_kubeconfig": {
        "type": "path",
        "description": "An administrator's kubeconfig of the existing cluster; relative to the inventory.",
    },
    "kubernetes_context": {
        "description": "Its context in kubernetes_kubeconfig; the current one if not given.",
    },
    "kubernetes_image_registry": {
        "description": "Registry, with folder, from which the existing cluster pulls the images that nobody "
        "publishes. Not needed where its nodes have them (platformctl artifacts export).",
    },
    "kubernetes_network_internet": {
        "type": "bool",
        "default": True,
        "description": "Whether pods of users may connect to the internet: to all that is none of the site's "
        "hosts, pods and services, and not in kubernetes_network_closed.",
    },
    "kubernetes_network_closed": {
        "type": "list",
        "elements": "str",
        "default": list(CLOSED),
        "description": "Further networks (CIDR) that pods of users may not connect to, such as the site's "
        "management network.",
    },
    "slurm_rest_url": {
        "description": "Address of the slurmrestd of a Slurm that platformctl does not run. Its JWT key is "
        "secret_slurm_jwt_key of the vault.",
    },
    "slurm_rest_certificate_authority": {
        "description": "Certificate (PEM) of the authority that signed the certificate of slurm_rest_url; "
        "the public ones if not given.",
    },
    "kubernetes_job_limits": {
        "type": "dict",
        "description": "What Jobs may have on Kubernetes at once, whatever their queue, and take of etcd. "
        "Above a limit on Kubernetes they wait, and whoever has used less CPU time lately goes first.",
        "options": {
            "array_at_once": {
                "type": "int",
                "default": 50,
                "description": "Most elements of an array that run at the same time, also if the Job says "
                "more; 0 for any number.",
            },
            "per_user": {
                "type": "dict",
                "default": {"pods": 100},
                "description": "The most of each user, of jobs, pods, cpus and gpus; by default {pods: 100}.",
            },
            "per_account": {
                "type": "dict",
                "default": {},
                "description": "The most of each account, of jobs, pods, cpus and gpus.",
            },
            "per_namespace": {
                "type": "int",
                "default": 20000,
                "description": "Most Jobs in each namespace of users, ended ones too; 0 for any number.",
            },
            "text_kib": {
                "type": "int",
                "default": 128,
                "description": "Most KiB of the script, arguments and environment of a Job together.",
            },
        },
    },
    "slurm_job_options": {
        "type": "dict",
        "description": "What the site decides about the fields of slurm in Jobs (platformctl docs sbatch).",
        "options": {
            "forbid": {
                "type": "dict",
                "default": {},
                "description": "By field, why no Job may have it; users see the reason.",
            },
            "force": {
                "type": "dict",
                "default": {},
                "description": "By field, what every job on Slurm gets, as {value, because}.",
            },
            "folders": {
                "type": "list",
                "elements": "str",
                "default": [],
                "description": "Absolute folders, besides the homes, that all hosts share and where Jobs may "
                "start.",
            },
            "plugins": {
                "type": "dict",
                "default": {},
                "description": "By option of sbatch, such as uenv, the name of the plugin of Slurm (SPANK) "
                "that has it.",
            },
            "node_features": {
                "type": "dict",
                "default": {},
                "description": "By label of nodes, as key=value, the feature of Slurm's nodes that means the "
                "same in pod templates.",
            },
            "claim_folders": {
                "type": "dict",
                "default": {},
                "description": "By claim, as namespace/name, the folder on Slurm's hosts that has the same "
                "files.",
            },
            "secrets": {
                "type": "bool",
                "default": False,
                "description": "Whether Jobs on Slurm may use Secrets. Their content is in the environment "
                "of the job, which Slurm must not keep in its accounting (AccountingStoreFlags without "
                "job_env).",
            },
        },
    },
    "lab_state": {
        "type": "path",
        "description": "Folder with the ssh key and the host keys of a lab. Set by platformctl lab.",
    },
    "ansible_host": {
        "description": "Address of the host, by which ssh and the other hosts reach it. Set on the host.",
    },
    "ansible_port": {"type": "int", "default": 22, "description": "TCP port of the host's ssh server."},
    "ansible_user": {"description": "User for ssh, with a key; needs sudo unless it is root."},
    "ansible_connection": {
        "choices": ["ssh", "local"],
        "default": "ssh",
        "description": "How hosts are reached; local is this machine.",
    },
    "ansible_become": {"type": "bool", "default": False, "description": "Become root by sudo."},
    # platformctl also runs commands on hosts itself, and supports only this method.
    "ansible_become_method": {
        "choices": ["sudo"],
        "default": "sudo",
        "description": "Program that makes the user root.",
    },
    "ansible_become_user": {
        "choices": ["root"],
        "default": "root",
        "description": "User that tasks run as after that.",
    },
    "ansible_become_password": {"description": "Password for sudo, as a vaulted value."},
    "ansible_python_interpreter": {"description": "Python on the hosts; found by itself if not given."},
    "ansible_pipelining": {
        "type": "bool",
        "default": False,
        "description": "Fewer ssh round trips for each task; sudo must not require a terminal.",
    },
    "ansible_ssh_private_key_file": {"type": "path", "description": "Private key for ssh."},
    "ansible_ssh_args": {"description": "Replaces Ansible's own arguments for ssh, which compress."},
    "ansible_ssh_common_args": {"description": "More arguments for ssh, scp and sftp, such as a jump host."},
    "ansible_ssh_extra_args": {"description": "More arguments for ssh alone."},
}
