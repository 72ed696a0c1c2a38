"""A small real site for the demo: rendered pages behind a loopback HTTP server with robots.txt and true 404s."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

from millpond.errors import MillpondError

#: Tried first, so that a second demo finds its site under the same address.
PORT = 47613
ROBOTS = "User-agent: *\nDisallow: /_\n"  # private modules are not for visitors

#: Shows (done, total).
Progress = Callable[[int, int], None]


def render_pages(folder: Path, progress: Progress) -> None:
    """Render this Python's documentation into `folder`, in an isolated child process.

    Raises:
        MillpondError: the child failed; its last line is in the message.
    """
    script = Path(__file__).with_name("demo_pages.py")
    command = [sys.executable, "-I", "-S", str(script), str(folder)]
    last = ""
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True) as child:
        for line in child.stderr or ():
            last = line.strip() or last
            parts = last.split()
            if len(parts) == 2 and all(part.isdigit() for part in parts):
                progress(int(parts[0]), int(parts[1]))
    if child.returncode:
        raise MillpondError(f"rendering the demo's pages failed: {last}")


@contextmanager
def serve(folder: Path) -> Iterator[str]:
    """Serve the pages of `folder` on loopback for the length of a block; yields the start address."""
    pages = {f"/{path.name}": path for path in folder.glob("*.html")}
    pages["/"] = folder / "index.html"

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            wanted = unquote(urlsplit(self.path).path)
            if wanted == "/robots.txt":
                self._answer(HTTPStatus.OK, "text/plain", ROBOTS.encode())
            elif wanted in pages:
                self._answer(HTTPStatus.OK, "text/html; charset=utf-8", pages[wanted].read_bytes())
            else:
                self._answer(HTTPStatus.NOT_FOUND, "text/plain", b"There is no such page.\n")

        def _answer(self, status: HTTPStatus, kind: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing: the crawl shows its own progress."""

    server = _bind(Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://localhost:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _bind(handler: type[BaseHTTPRequestHandler]) -> ThreadingHTTPServer:
    try:
        return ThreadingHTTPServer(("127.0.0.1", PORT), handler)
    except OSError:  # taken: any other will do
        return ThreadingHTTPServer(("127.0.0.1", 0), handler)
