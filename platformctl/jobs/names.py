"""Who a Job's user is, as /etc/passwd and /etc/group of a pod: programs such as whoami and ssh ask for it.

An image has files of its own, which do not know the site's user. These take their place: root, nobody, the
user and the user's groups. Other users of an image have only their numbers then; no process of a Job is one.
"""

from platformctl.jobs.model import User

_PASSWD = "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n"  # noqa: S105
_GROUP = "root:x:0:\nnogroup:x:65534:\n"
# Of a user of the site every image has this one, if any.
_SHELL = "/bin/sh"


def passwd(user: User) -> str:
    """The text of /etc/passwd."""
    return f"{_PASSWD}{user.name}:x:{user.uid}:{user.gid}:{user.name}:{user.home}:{_SHELL}\n"


def group(user: User) -> str:
    """The text of /etc/group. A group whose name the site does not tell is called by its number."""
    others = [gid for gid in dict.fromkeys(user.groups) if gid != user.gid]
    lines = [f"{user.group_names.get(user.gid, user.name)}:x:{user.gid}:\n"]
    lines += [f"{user.group_names.get(gid, f'group{gid}')}:x:{gid}:{user.name}\n" for gid in others]
    return _GROUP + "".join(lines)
