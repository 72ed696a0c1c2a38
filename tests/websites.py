"""Web sites on loopback for tests: each on an address of its own, answering from a table, keeping its access log."""

from __future__ import annotations

import itertools
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Answer = Callable[["Handler"], None]
Answers = dict[str, str | Answer]

_hosts = itertools.cycle(f"127.{a}.{b}.{c}" for a in (10, 11) for b in range(200) for c in range(1, 250))


class Handler(BaseHTTPRequestHandler):
    """Answers from a table of paths; writes down when each path was asked for."""

    protocol_version = "HTTP/1.1"
    server: Site

    def do_GET(self) -> None:
        site = self.server
        with site.counting:
            if site.left:
                site.gaps.append(time.monotonic() - site.left)
            site.log.append((time.monotonic(), self.path, dict(self.headers)))
            self.counted = True
            site.open += 1
            site.most_open = max(site.most_open, site.open)
        try:
            answer = site.answers.get(self.path, site.otherwise)
            if answer is None:
                self.send(b"nothing here", status=404)
            elif callable(answer):
                answer(self)
            else:
                self.send(answer.encode())
        finally:
            self.answered()

    def answered(self) -> None:
        """From here on the client may have its answer, and begin the next request before this one is left."""
        with self.server.counting:
            if self.counted:
                self.server.left = time.monotonic()
            self.server.open -= self.counted
            self.counted = False

    def send(self, body: bytes, status: int = 200, kind: str = "text/html", **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.answered()
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Keep quiet."""


class Site(ThreadingHTTPServer):
    """A site on a loopback address of its own."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, answers: Answers, otherwise: Answer | None = None, host: str | None = None) -> None:
        super().__init__((host or next(_hosts), 0), Handler)
        self.answers = answers
        self.otherwise = otherwise
        self.log: list[tuple[float, str, dict[str, str]]] = []
        self.counting = threading.Lock()
        self.open = self.most_open = 0
        self.left = 0.0
        #: Seconds from an answer's leaving to the next request: never less than the crawler waits.
        self.gaps: list[float] = []

    @property
    def host(self) -> str:
        return str(self.server_address[0])

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.server_address[1]}"

    def forget(self) -> None:
        """Begin its log anew."""
        self.log.clear()
        self.gaps.clear()
        self.left = 0.0

    @property
    def asked(self) -> list[str]:
        return [path for _, path, _ in self.log]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """The crawler hangs up on endless answers: no news."""


@contextmanager
def site(answers: Answers, otherwise: Answer | None = None, host: str | None = None) -> Iterator[Site]:
    """Serve one site for the length of a block."""
    with Site(answers, otherwise, host) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def sites(**tables: Answers) -> Iterator[dict[str, Site]]:
    """Serve several sites, each under a name."""
    with ExitStack() as stack:
        yield {name: stack.enter_context(site(answers)) for name, answers in tables.items()}


class Canary:
    """A listener on 127.0.0.1 that hangs up on everybody, and counts them."""

    def __init__(self, port: int) -> None:
        self.listener = socket.create_server(("127.0.0.1", port))
        self.listener.settimeout(0.05)
        self.port = int(self.listener.getsockname()[1])
        self._peers: list[tuple[str, int]] = []
        self._own: set[tuple[str, int]] = set()

    def accept(self) -> None:
        try:
            connection, peer = self.listener.accept()
        except TimeoutError:
            return
        self._peers.append(peer)
        connection.close()

    def met(self) -> int:
        """How many have connected up to now: a connection of our own comes in behind all of them."""
        with socket.create_connection(("127.0.0.1", self.port)) as own:
            self._own.add(own.getsockname())
            own.recv(1)
        return sum(peer not in self._own for peer in self._peers)


@contextmanager
def canary(port: int = 0) -> Iterator[Canary]:
    """Let a canary listen for the length of a block."""
    bird, done = Canary(port), threading.Event()

    def listen() -> None:
        while not done.is_set():
            bird.accept()

    thread = threading.Thread(target=listen)
    with bird.listener:
        thread.start()
        try:
            yield bird
        finally:
            done.set()
            thread.join()


def links(*paths: str) -> str:
    """A page that links to some addresses."""
    return "<html><body>" + " ".join(f"<a href='{path}'>x</a>" for path in paths) + "</body></html>"


def redirect(target: str, status: int = 302) -> Answer:
    location = target.encode().decode("latin-1")  # sent as UTF-8
    return lambda handler: handler.send(b"", status, Location=location)


def drip(handler: Handler) -> None:
    """One byte now and then, for longer than anybody waits."""
    handler.send_response(200)
    handler.send_header("Content-Type", "text/html")
    handler.send_header("Content-Length", "100000")
    handler.end_headers()
    for _ in range(100):
        handler.wfile.write(b".")
        time.sleep(0.1)


def drip_headers(handler: Handler) -> None:
    """One header now and then."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
    for n in range(100):
        handler.wfile.write(b"X-%d: y\r\n" % n)
        time.sleep(0.1)


def endless(handler: Handler) -> None:
    """A body that does not end."""
    handler.send_response(200)
    handler.send_header("Content-Type", "text/html")
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    while True:
        handler.wfile.write(b"10000\r\n" + b"x" * 0x10000 + b"\r\n")


def raw(data: bytes) -> Answer:
    """These bytes and the end of the connection."""

    def answer(handler: Handler) -> None:
        handler.wfile.write(data)
        handler.close_connection = True

    return answer
