"""Makes one shell script of all questions to a host, and takes its answer apart.

One ssh round trip a host, whatever the number of questions: they run there at the same time, each for a
bounded time. A question is asked only if its stage is applied on the host, which the host's own record says.
"""

import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from platformctl.engine.planning import ownership, record

_PROGRAM = Path(__file__).with_name("on_host.py")
# A host without systemd as its first process runs no service of ours: it is one of a simulated fleet.
# A record that is there and names no stage is damaged: what the host has is then unknown.
_HEAD = f"""\
umask 077
record={record.DIGESTS}
ended='/^ "/ {{ stage=$2 }} /^  "parts"/ {{ printf "%s ", stage }}'
applied=" $(awk -F'"' "$ended" $record 2>/dev/null)"
if [ -s $record ] && [ "$(cat $record)" != '{{}}' ] && ! grep -qE '"(parts|begun)"' $record; then
  echo damaged
fi
{ownership.ASK}
{ownership.LEAVE_OUT}
echo "applied $applied"
"""
_RUN = """\
[ -d /run/systemd/system ] || [ -n "$anywhere" ] || { echo simulated; exit 0; }
answers=$(mktemp -d /run/platformctl.XXXXXX 2>/dev/null || mktemp -d) || exit 1
trap 'rm -rf "$answers"' EXIT
question() {
  for stage in $2; do case "$applied" in *" $stage "*) ;; *) return 0 ;; esac; done
  { timeout -k 1 "$3" sh -c "$4" >"$answers/$1.said" 2>&1 </dev/null; echo $? >"$answers/$1.code"; } &
}
"""
_TAIL = """\
wait
for code in "$answers"/*.code; do
  [ -e "$code" ] || continue
  name=${code%.code}
  echo "answer ${name##*/} $(cat "$code")"
  sed 's/^/ /' "$name.said"
done
"""


@dataclass(frozen=True)
class Question:
    """One script on a host. stages: it is asked only where all of them are applied. seconds: for one try."""

    key: str
    stages: tuple[str, ...]
    script: str
    seconds: int


@dataclass(frozen=True)
class Answers:
    """What a host said. applied: its stages that ended well. said: exit status and output, by question.

    away: stages of the scheduler that the host does not belong to now. simulated: nothing of ours can run
    there. damaged: its record cannot be read.
    """

    applied: frozenset[str]
    said: dict[str, tuple[int, str]]
    simulated: bool = False
    damaged: bool = False
    away: frozenset[str] = frozenset()


def build(
    questions: Sequence[Question], assumed: Iterable[str] = (), before: str = "", anywhere: bool = False
) -> str:
    """The script for a host. assumed: stages that count as applied there. before: shell that runs first.

    anywhere: ask also where systemd does not run.
    """
    more = "".join(f'applied="${{applied}}{stage} "\n' for stage in assumed)
    head = _HEAD + more + (f"{ownership.LEAVE_OUT}\n" if more else "")
    if not questions:
        return head
    body = "".join(
        shlex.join(["question", each.key, " ".join(each.stages), str(each.seconds), each.script]) + "\n"
        for each in questions
    )
    return "".join(
        [head, f"anywhere={'yes' if anywhere else ''}\n", _RUN, _helper(questions), before, body, _TAIL]
    )


def _helper(questions: Sequence[Question]) -> str:
    """Where a question needs it, the Python program for hosts, as $on_host of each question."""
    if not any("$on_host" in question.script for question in questions):
        return ""
    return f"on_host={shlex.quote(_program())}\nexport on_host\n"


@cache
def _program() -> str:
    return _PROGRAM.read_text()


def on_host(*words: str) -> str:
    """The shell command that asks a question of on_host.py."""
    return f'exec python3 -c "$on_host" {shlex.join(words)}'


def parse(text: str) -> Answers:
    """The answers in what a host printed; lines that are no answer are passed over."""
    applied: frozenset[str] = frozenset()
    away: frozenset[str] = frozenset()
    said: dict[str, tuple[int, str]] = {}
    key, marks = "", set()
    for line in text.splitlines():
        word, _, rest = line.partition(" ")
        if line.startswith(" ") and key:
            code, lines = said[key]
            said[key] = (code, f"{lines}{line[1:]}\n")
        elif word == "applied":
            applied = frozenset(rest.split())
        elif word == "away":
            away = frozenset(rest.split())
        elif line in ("simulated", "damaged"):
            marks.add(line)
        elif word == "answer" and len(rest.split()) == 2 and rest.split()[1].isdigit():
            key, code_text = rest.split()
            said[key] = (int(code_text), "")
    return Answers(applied, said, "simulated" in marks, "damaged" in marks, away)
