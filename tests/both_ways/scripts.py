"""The scripts that are compared: of each option, of kinds that people have, and drawn ones."""

import random
from collections.abc import Iterator

from tests.both_ways.compare import Script

SHOW = """
echo "folder $PWD"
echo "arguments $#:"; printf '<%s>\\n' "$@"
umask; ulimit -S -a
env | sort
"""
ELEMENT = "echo element $SLURM_ARRAY_TASK_ID of $SLURM_ARRAY_TASK_COUNT, $SLURM_ARRAY_TASK_MAX"
FILES = "touch made; mkdir -p folder; (umask 077; touch private)"
# How long a script waits for what comes from outside, before it gives up.
WAIT = "for _ in $(seq 600); do sleep 0.5 & wait $!; done; exit 99"


def script(
    name: str,
    *typed: str,
    lines: tuple[str, ...] = (),
    body: str = SHOW,
    first: str = "#!/bin/bash",
    **more: object,
) -> Script:
    """typed: options before the script. lines: of #SBATCH. body: what follows them."""
    text = "\n".join([first, *(f"#SBATCH {line}" for line in lines), body, ""])
    return Script(name, text, typed, **more)  # type: ignore[arg-type]


# Jobs that wait for a minute are submitted first. Slurm looks at time limits every half minute, so a
# signal that is due at once may come before the script is there to take it.
_SLOW = (
    script("signal to the script", "-t1", lines=("--signal=B:USR1@10",),
           body=f"trap 'echo USR1; exit 3' USR1\n{WAIT}", code=3),
    script("signal to the steps", "-t1", lines=("--signal=USR1@10",),
           body="srun bash -c 'trap \"echo step; exit 4\" USR1; while :; do sleep 0.2; done'", code=4),
    script("time limit", "-t1", body=f"trap 'echo TERM; exit 5' TERM\n{WAIT}", state="TIMEOUT"),
    script("requeue", "--requeue", "--open-mode=append",
           body='echo "run ${SLURM_RESTART_COUNT:-0}"\n'
                f"if [ -z \"$SLURM_RESTART_COUNT\" ]; then scontrol requeue $SLURM_JOB_ID; {WAIT}; fi"),
    script("requeue, one file", lines=("--requeue",),
           body='echo "run ${SLURM_RESTART_COUNT:-0}"; env | grep SLURM_RESTART\n'
                f"[ -n \"$SLURM_RESTART_COUNT\" ] || {{ scontrol requeue $SLURM_JOB_ID; {WAIT}; }}"),
)  # fmt: skip
_OPTIONS = (
    script("plain"),
    script("arguments", arguments=("a b", "", "$HOME", "-n", 'x"y')),
    script("exit status", body="exit 7", code=7),
    script("killed", body="kill -9 $$", state="FAILED"),
    script("name", "--job-name=two words"),
    script("tasks", "-n", "2", body=f"{SHOW}\nsrun printenv SLURM_PROCID | sort"),
    script("tasks of a node", "--nodes=1", "--ntasks-per-node=2"),
    script("cores", lines=("-c 2 -n1",)),
    script("cores and GPUs of a task", "--gpus-per-task=1", "-n1", "-c2"),
    script("devices of a task", "-n1", "--tres-per-task=cpu=1,gres/gpu:1"),
    script("GPUs bound", "-n1", "--gpus-per-task=1", "--gpu-bind=none"),
    script("memory of a node", lines=("--mem=300",)),
    script("memory of a core", lines=("--mem-per-cpu=100M -c2",)),
    script("memory zero", "--mem=0", whole=True),
    script("time", "-t", "0-00:05:30"),
    script("time of a least", lines=("--time=10 --time-min=5",)),
    script("output", lines=("--output=out.%x.txt", "--job-name=named")),
    script("output and error", "-o", "one.out", "-e", "two.err", body="echo here; echo there >&2"),
    script("output of an id", lines=("-o job-%j.%N.out",)),
    script("no folder for the output", lines=("--output=missing/%x.out",)),
    script("input", "--input=job.sh", body="wc -l"),
    script("comment", "--comment", "a comment"),
    script("quoted", lines=('--comment="a b" # and why',)),
    script("GPU", lines=("--gres=gpu:1",), body=f"{SHOW}\necho gpus $CUDA_VISIBLE_DEVICES"),
    script("GPUs of a node", "--gpus-per-node=1"),
    script("GPUs of a task", "--gpus-per-task=1", "-n1"),
    script("GPUs of the job", "--gpus=1", "--cpus-per-gpu=2"),
    script("memory of a GPU", "--gpus=1", "--mem-per-gpu=200M"),
    script("exclusive", lines=("--exclusive",), whole=True),
    script("hint", lines=("--hint=nomultithread",)),
    script("hint beside another", "--hint=nomultithread", "--ntasks-per-core=1"),
    script("bound and sorted memory", "--mem-bind=local,sort,verbose"),
    script("variables and more", "--export=ALL,A=b"),
    script("login", "--get-user-env"),
    script("threads", "--threads-per-core=1"),
    script("node", "-w", "node2"),
    script("account", "--account=physics"),
    script("partition", lines=("-p main",)),
    script("QoS", "--qos=normal"),
    script("nice", "--nice=5"),
    script("no requeue", "--no-requeue"),
    script("overcommit", "-n2", "--overcommit"),
    script("oversubscribe", "--oversubscribe"),
    script("mail", lines=("--mail-type=END,FAIL", "--mail-user=alice@example.org")),
    script("begin", "--begin=now+1"),
    script("singleton", "--dependency=singleton", "-J", "alone"),
    script("distribution", "-n2", "--distribution=cyclic"),
    script("binding", "--mem-bind=local"),
    script("a range of nodes", "--nodes=1-2"),
    script("wait for nodes", "--wait-all-nodes=1"),
    script("open mode", lines=("--open-mode=append", "-o job.sh.log")),
    script("here document", body="cat <<END\n#SBATCH --nonsense\nEND"),
    script("python", body=f"{SHOW}\npython3 - <<'END'\nprint('''\n#SBATCH -n 7\n''')\nEND"),
    script("array", "--array=0-2", body=ELEMENT),
    script("array of steps", lines=("-a 1-5:2%1",), body=ELEMENT),
    script("array of files", "-a", "2,4", "-o", "%x.%A_%a.out", "-e", "%a.err",
           body=f"{ELEMENT}; exit 2", code=2),
    script("variables", "--export=NONE,COLOUR=blue", body=f"{SHOW}\necho $COLOUR"),
    script("variables of the login", "--export=NONE"),
    script("no variables", "--export=NIL"),
    script("umask", body=f"{FILES}\n{SHOW}", umask="0027"),
    script("umask, files of an array", "-a", "0-1", "-o", "%a.out", body=FILES, umask="0077"),
    script("limits", limits={"NOFILE": 333, "CORE": 0, "STACK": 4 * 2**20, "NPROC": 2048}),
    script("limits of some", "--propagate=NOFILE", limits={"NOFILE": 444, "STACK": 4 * 2**20}),
    script("no limits", "--propagate=NONE", limits={"NOFILE": 555}),
)  # fmt: skip
# As in files of real sites: what they load, start and write.
_KINDS = (
    script("a module that is not there", first="#!/bin/bash -l", lines=("--nodes=1", "--tasks-per-node=1"),
           body="module load example/1.0\nmpirun hostname", code=127),
    script("the submit folder", lines=("--job-name=job", "--time=01:00:00  # remark", "--ntasks=1"),
           body='cd "$SLURM_SUBMIT_DIR"\npwd; echo "$SLURM_SUBMIT_HOST"'),
    script("a made file", lines=("--time 20:00:00              # remark",),
           body="cat <<EOF > made.txt\ntext $HOSTNAME\nEOF\nsrun hostname"),
    script("the first node", lines=("--nodes=1", "--ntasks-per-node=1"),
           body='export MASTER_ADDR=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)\n'
                "echo $MASTER_ADDR; srun hostname"),
    script("a shell of POSIX", first="#!/bin/sh -l", lines=("-c 2              # remark", "-t 30")),
    script("ends at an error", first="#!/bin/bash -e", body="false\necho not here", code=1),
    script("env", first="#!/usr/bin/env bash", lines=("--job-name='my job'",), body="echo $SLURM_JOB_NAME"),
    script("blank behind the interpreter", first="#!/bin/bash ", lines=("--mem=300M # remark",)),
    script("another language", first="#!/usr/bin/env python3", lines=("--output=%x.log", "-J python"),
           body="import os, sys\nprint(os.environ['SLURM_JOB_NAME'], sys.argv)", arguments=("one", "two")),
    script("an array of data", lines=("--array=1-3%3", "--output=%A_%a.o", "--error=%A_%a.e"),
           body='echo "element $SLURM_ARRAY_TASK_ID" >data.$SLURM_ARRAY_TASK_ID'),
    script("a name of another language", lines=("--job-name=Grüße",), body="echo ümlaut"),
    script("the first word counts", lines=("-n 1", "-n 2"), body="echo $SLURM_NTASKS"),
    script("a here string", body='read -r a b <<< "one two"\necho "$b $a"'),
    script("logs of a run", lines=("--output=logs.%x-%j.out", "--job-name=x"),
           body="srun hostname; echo e >&2"),
)  # fmt: skip
_DRAWN = (
    ("-n1", "-n2", "--ntasks-per-node=2", "-N1", "--nodes=1 --ntasks=2"),
    ("-c2", "--cpus-per-task=1", "--ntasks-per-core=1"),
    ("--mem=200M", "--mem-per-cpu=150", "--mem=0.3G".replace("0.3G", "1G")),
    ("-t 10", "--time=0-1", "--time=5:00", "--time=1:00:00 --time-min=30"),
    ("--gres=gpu:1", "--gpus=1", "--gpus-per-node=1", "--gres=none"),
    ("--exclusive", "--oversubscribe", "--exclusive=user"),
    ("--nice=3", "--nice", "--comment=drawn", "--wckey="),
    ("-o drawn.%j", "--output=%x.%u.out", "-e err.%N", "--open-mode=truncate"),
    ("--hint=compute_bound", "--hint=memory_bound", "--hint=multithread", "--distribution=block:cyclic"),
    ("--mail-type=ALL", "--mail-type=NONE", "--requeue", "--no-kill", "--kill-on-invalid-dep=yes"),
    ("--export=NONE", "--export=HOME,A=1", "--export=ALL,A=1", "--get-user-env"),
    ("--contiguous", "--spread-job", "--use-min-nodes", "--switches=1"),
)


def drawn(count: int = 12, seed: int = 13) -> Iterator[Script]:
    """Scripts with three to five options of different kinds: always the same ones for a seed."""
    chance = random.Random(seed)
    for number in range(count):
        lines = tuple(chance.choice(kind) for kind in chance.sample(_DRAWN, chance.randint(3, 5)))
        whole = any("--exclusive" in line for line in lines)
        yield script(f"drawn {number}: {' '.join(lines)}", lines=lines, whole=whole)


# Components of a job have nodes of their own: a site with several nodes runs them.
COMPONENTS = (
    script("two components", "-n1", ":", "-n2",
           body=f"{SHOW}\nsrun --het-group=0,1 bash -c 'echo $SLURM_PROCID' | sort"),
    script("components in lines", lines=("--ntasks=1 --mem=100 -t 7", "hetjob", "--ntasks=1 -c2 --mem=200")),
)  # fmt: skip
SCRIPTS = (*_SLOW, *_OPTIONS, *_KINDS, *drawn())
