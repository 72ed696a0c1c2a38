"""A web server on loopback that serves files by ranges and fails as it is told, and an S3 server beside it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import boto3
import fsspec
import pytest
from moto.server import ThreadedMotoServer

from millpond.storage import _connected

#: What a request is answered with instead of the file: (request number, handler) → whether it was.
Fault = Callable[[int, "Handler"], bool]


@dataclass
class Site:
    """Files by path, and what was asked for."""

    files: dict[str, bytes]
    fault: Fault = lambda number, handler: False
    ranges: bool = True
    etag: Callable[[bytes], str] = lambda data: f'"{hash(data)}"'
    chunk: int = 1 << 20
    #: One line a request: method, path, Range, and what was done.
    log: list[str] = field(default_factory=list)
    sent: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)
    open_now: int = 0
    most_open: int = 0
    url: str = ""


class Handler(BaseHTTPRequestHandler):
    """Answers GET, with ranges where the site has them."""

    protocol_version = "HTTP/1.1"
    site: Site
    #: So many bytes are sent of the body, and then the connection is cut.
    cut_after: int | None = None

    def do_GET(self) -> None:
        site = self.site
        with site.lock:
            number = len(site.log)
            site.log.append(f"GET {self.path} {self.headers.get('Range', '-')}")
            site.open_now += 1
            site.most_open = max(site.most_open, site.open_now)
        try:
            if not site.fault(number, self):
                self._serve()
        finally:
            with site.lock:
                site.open_now -= 1

    def do_HEAD(self) -> None:
        """What S3 is asked for before a file is read: not logged, never at fault."""
        data = self.site.files[self.path]
        self.send_response(200)
        self.send_header("ETag", self.site.etag(data))
        self.send_header("Last-Modified", "Wed, 01 May 2024 00:00:00 GMT")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()

    def note(self, said: str) -> None:
        """Add what was done to the request's line."""
        self.site.log[-1] += f" {said}"

    def refuse(self, status: int, **headers: str) -> bool:
        """Answer with a status and no body."""
        self.note(str(status))
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", "0")
        self.end_headers()
        return True

    def _serve(self) -> None:
        site = self.site
        data = site.files.get(self.path)
        if data is None:
            self.refuse(404)
            return
        start, stop = 0, len(data)
        asked = self.headers.get("Range")
        if asked and site.ranges:
            first, _, last = asked.removeprefix("bytes=").partition("-")
            start, stop = int(first), min(int(last) + 1 if last else len(data), len(data))
            if start >= len(data):
                self.refuse(416, Content_Range=f"bytes */{len(data)}")
                return
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{stop - 1}/{len(data)}")
        else:
            self.send_response(200)
        if tag := site.etag(data):
            self.send_header("ETag", tag)
        self.send_header("Content-Length", str(stop - start))
        self.end_headers()
        end = stop if self.cut_after is None else min(stop, start + self.cut_after)
        try:
            for at in range(start, end, site.chunk):
                piece = data[at : min(at + site.chunk, end)]
                self.wfile.write(piece)
                site.sent += len(piece)
        except OSError:  # the client has let go
            self.close_connection = True
        if end < stop:
            self.note(f"cut at {end}")
            self.close_connection = True

    def log_message(self, *_: Any) -> None:
        """The site's log is enough."""


@contextmanager
def serve_files(site: Site) -> Iterator[Site]:
    """Serve a site on loopback for the length of the block; its `url` says where."""
    handler = type("SiteHandler", (Handler,), {"site": site})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    site.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield site
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


#: A key that must be found nowhere but in what is sent to the server.
CANARY = "CANARYSECRETKEY0123456789abcdefghijklmno"


@dataclass(frozen=True)
class Bucket:
    """A bucket of an S3 server on loopback."""

    endpoint: str
    name: str

    def environment(self) -> dict[str, str]:
        """For input files by fsspec's usual way, and a catalog `cloud` whose warehouse is in the bucket."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": "someone",
            "AWS_SECRET_ACCESS_KEY": CANARY,
            "AWS_DEFAULT_REGION": "us-east-1",
        }

    def client(self) -> Any:
        """The S3 client of its makers."""
        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            aws_access_key_id="someone",
            aws_secret_access_key=CANARY,
            region_name="us-east-1",
        )

    def put(self, key: str, data: bytes) -> str:
        """Store an object; returns its URL."""
        self.client().put_object(Bucket=self.name, Key=key, Body=data)
        return f"s3://{self.name}/{key}"

    def objects(self) -> dict[str, bytes]:
        """All objects by key."""
        pages = self.client().get_paginator("list_objects_v2").paginate(Bucket=self.name)
        keys = [entry["Key"] for page in pages for entry in page.get("Contents", ())]
        return {key: self.client().get_object(Bucket=self.name, Key=key)["Body"].read() for key in keys}


@contextmanager
def serve_bucket(name: str) -> Iterator[Bucket]:
    """An S3 server on loopback with an empty bucket, for the length of the block."""
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    bucket = Bucket(f"http://{host}:{port}", name)
    try:
        bucket.client().create_bucket(Bucket=name)
        yield bucket
    finally:
        server.stop()


@contextmanager
def bucket_in_environment(name: str) -> Iterator[Bucket]:
    """Such a server, which fsspec finds by the environment."""
    with pytest.MonkeyPatch.context() as patch, serve_bucket(name) as bucket:
        for key, value in bucket.environment().items():
            patch.setenv(key, value)
        _connected.cache_clear()
        fsspec.filesystem("s3").clear_instance_cache()
        yield bucket
