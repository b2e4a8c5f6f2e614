"""The names of output files on Slurm: its patterns, such as `%j`, with their values.

The rules are those of slurmstepd 24.11 (fname.c) for batch scripts. What is not known stays as a pattern: the
index of an array's element is filled in when one element's output is read, and the node when the job runs.
"""

import re
from collections.abc import Mapping

_MAX_WIDTH = 10
_NUMBERS = "AabJjnt"
_PART = re.compile(r"%(?:(?P<percent>%)|(?P<width>[0-9]*)(?P<letter>[^%]))", re.DOTALL)


def of_job(path: str, name: str, user: str, job_id: str, array: bool) -> str:
    """The path with everything that is known of a submitted job.

    name: the job's on Slurm. In an array each element has another id (%j) and index (%a, %b), so these stay,
    and so does `%%`.
    """
    if "\\" in path:
        bare = _bare(path)
        # What fills in the rest later must find no pattern in it.
        return bare.replace("%", "%%") if array or "%N" in bare else bare
    known = {"x": name, "u": user, "s": "batch", "n": "0", "t": "0", "A": job_id}
    if array:
        return _filled(path, known, keep_percent=True)
    return _filled(path, known | {"j": job_id, "J": job_id}, keep_percent="%N" in path)


def with_ids(path: str, array_id: str, job_id: str = "") -> str:
    """The path with Slurm's ids; what an element's index decides stays. job_id: if it is known too."""
    known = {"A": array_id} | ({"j": job_id, "J": job_id} if job_id else {})
    return _filled(path, known, keep_percent=True)


def of_element(path: str, index: int) -> str:
    """The path with the index of an element."""
    return _filled(path, {"a": str(index), "b": str(index % 10)}, keep_percent=False)


def on_node(path: str, node: str, array: bool) -> str:
    """The path with the name of the job's first node. array: whether an element's index follows."""
    return _filled(path, {"N": node}, keep_percent=array)


def unknown(path: str) -> bool:
    """Whether the path still has the pattern of an element's own id."""
    return any(match["letter"] in ("j", "J") for match in _PART.finditer(path) if match["letter"])


def _bare(path: str) -> str:
    """A backslash is removed, and turns off all patterns; two backslashes are one."""
    return re.sub(r"\\(\\?)", r"\1", path)


def _filled(path: str, values: Mapping[str, str], keep_percent: bool) -> str:
    def fill(match: re.Match[str]) -> str:
        if match["percent"]:
            return "%%" if keep_percent else "%"
        letter, width = match["letter"], min(int(match["width"] or 0), _MAX_WIDTH)
        if letter not in values:
            return match[0]
        return values[letter].rjust(width, "0") if letter in _NUMBERS else values[letter]

    return _PART.sub(fill, path)
