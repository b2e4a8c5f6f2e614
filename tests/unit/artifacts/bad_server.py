"""A local server that behaves as servers on a bad day do."""

import http.server
import time
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Behaviour:
    """How the server answers for one path.

    content: what it has. cut: bytes after which it hangs up, for the first `cuts` requests. status: answered
    instead, for the first `failures` requests (for ever if None). ranges: whether it resumes. pause: seconds
    between pieces. silent: it accepts the request and sends nothing.
    """

    content: bytes = b""
    cut: int = 0
    cuts: int = 1
    status: int = 200
    failures: int | None = None
    ranges: bool = True
    pause: float = 0.0
    silent: bool = False
    headers: dict[str, str] = field(default_factory=dict)


class Server(http.server.ThreadingHTTPServer):
    """Serves paths by their behaviour and remembers the requests."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.paths: dict[str, Behaviour] = {}
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.sent = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def seen(self, path: str) -> list[dict[str, str]]:
        return [headers for asked, headers in self.requests if asked == path]


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        self.server.requests.append((path, dict(self.headers)))
        count = len(self.server.seen(path))
        behaviour = self.server.paths.get(path, Behaviour(status=404))
        if behaviour.silent:
            time.sleep(2)
        elif behaviour.status != 200 and (behaviour.failures is None or count <= behaviour.failures):
            self.answer(behaviour.status, b"", behaviour)
        else:
            self.send_content(behaviour, count)

    def send_content(self, behaviour: Behaviour, count: int) -> None:
        asked = self.headers.get("Range")
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked and behaviour.ranges else 0
        if start and start >= len(behaviour.content):
            self.answer(416, b"", behaviour)
            return
        body = behaviour.content[start:]
        cut = behaviour.cut if count <= behaviour.cuts else 0
        self.answer(206 if start else 200, body, behaviour, cut)

    def answer(self, status: int, body: bytes, behaviour: Behaviour, cut: int = 0) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        for name, value in behaviour.headers.items():
            self.send_header(name, value)
        self.end_headers()
        body = body[:cut] if cut else body
        step = max(1, len(body) // 8) if behaviour.pause else max(1, len(body))
        for start in range(0, len(body), step):
            self.wfile.write(body[start : start + step])
            self.server.sent += len(body[start : start + step])
            time.sleep(behaviour.pause)
        if cut:
            self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:
        pass
