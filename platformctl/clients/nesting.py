"""JSON that is nested deeper than the parser accepts.

The API server accepts 10,000 levels, orjson 1,024. One object that a user nests deeper must not prevent
reading the others.
"""

import re

# Strings are skipped whole, so that brackets in them do not count.
_TOKENS = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[{\]}]', re.DOTALL)
_OPEN = (b"[", b"{")


def shallow(text: bytes, most: int) -> bytes:
    """The document with every value below `most` levels replaced by null; text is valid JSON."""
    parts: list[bytes] = []
    depth = kept = 0
    for token in _TOKENS.finditer(text):
        word = token[0]
        if word in _OPEN:
            depth += 1
            if depth == most + 1:
                parts += (text[kept : token.start()], b"null")
        elif word[:1] != b'"':
            if depth == most + 1:
                kept = token.end()
            depth -= 1
    return b"".join(parts) + text[kept:]
