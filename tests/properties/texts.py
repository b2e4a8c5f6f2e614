"""Texts that a careless program would execute, cut, or read as something else."""

from hypothesis import strategies as st

_NASTY = (
    "\n#SBATCH --uid=0\n", "$(touch owned)", "`touch owned`", "'; touch owned; '", '"; touch owned; "', "\\",
    "\\'", "$'\\x27'", "-n", "--", "$KFOUNDRY_INDEX", "$(KFOUNDRY_INDEX", "$$", "$(HOME)", "!!", "*", "~",
    "\r\n", "\t", "%j", "\u2028", "é", "\U0001f600", "\x7f", "\x1b[2J", "", " ", "a b", "<<EOF\nEOF\n",
    "#", "\n", "&",
)  # fmt: skip
_ANY = st.characters(exclude_characters="\0", exclude_categories=["Cs"])

texts = st.lists(st.sampled_from(_NASTY) | st.text(_ANY, max_size=8), max_size=4).map("".join)
"""What the API lets through: any Unicode but NUL."""

file_names = st.text(
    st.characters(exclude_characters="\0/\x7f", exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20
).filter(lambda name: name not in (".", "..") and len(name.encode()) < 100)
"""Names of files that may be staged."""
