"""A package index of our own: tiny real wheels, served to the real pip."""

import hashlib
import threading
import time
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from companion.data import registry


def write_wheel(path, members):
    """Write a wheel that pip accepts, holding `members` (path -> bytes)."""
    distribution, version = path.name.split("-")[:2]
    info = f"{distribution}-{version}.dist-info"
    entries = dict(members)
    entries[f"{info}/METADATA"] = f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n".encode()
    entries[f"{info}/WHEEL"] = b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    entries[f"{info}/RECORD"] = b""
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return path


def declare(path, members, **changes):
    """Declare the source of a file as a good registry would."""
    fields = {
        "name": path.name.split("-")[0],
        "use": "plain text",
        "distribution": path.name.split("-")[0],
        "version": "1.0",
        "filename": path.name,
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "size": path.stat().st_size,
        "members": tuple(members),
        "unpacked": sum(map(len, members.values())),
        "holds": "rows of a test",
        "licence": "CC0",
        "origin": "this test",
        "reader": lambda folder: [{"text": (folder / "rows.txt").read_text()}],
    }
    return registry.Source(**(fields | changes))


class Index:
    """An HTTP package index on this machine that counts what it serves and can be slow or break off."""

    def __init__(self, folder):
        self.folder = folder
        self.downloads = 0
        self.pause = 0.0
        self.stall = threading.Event()
        index = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                index.answer(self)

            def log_message(self, *arguments):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/simple"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def answer(self, request):
        name = request.path.strip("/").split("/")[-1]
        files = {path.name: path for path in self.folder.iterdir()}
        if name in files:
            self.downloads += 1
            self.send(request, files[name].read_bytes(), "application/zip")
        else:
            links = "".join(f'<a href="/files/{file}">{file}</a>' for file in files if file.startswith(name + "-"))
            self.send(request, f"<!DOCTYPE html><html><body>{links}</body></html>".encode(), "text/html")

    def send(self, request, content, kind):
        request.send_response(200)
        request.send_header("Content-Type", kind)
        request.send_header("Content-Length", str(len(content)))
        request.end_headers()
        half = len(content) // 2
        request.wfile.write(content[:half])
        request.wfile.flush()
        if kind == "application/zip":
            time.sleep(self.pause)
            while self.stall.is_set():
                time.sleep(0.02)
        request.wfile.write(content[half:])


@pytest.fixture
def index(tmp_path, monkeypatch):
    """Serve `tmp_path/packages` as pip's only index; the cache is `tmp_path/cache`."""
    folder = tmp_path / "packages"
    folder.mkdir()
    served = Index(folder)
    for name, value in {
        "COMPANION_CACHE": str(tmp_path / "cache"),
        "PIP_CONFIG_FILE": "/dev/null",
        "PIP_INDEX_URL": served.url,
        "PIP_NO_CACHE_DIR": "1",
        "NO_PROXY": "127.0.0.1",
        "no_proxy": "127.0.0.1",
    }.items():
        monkeypatch.setenv(name, value)
    for name in ("COMPANION_OFFLINE", "PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS", "PIP_NO_INDEX"):
        monkeypatch.delenv(name, raising=False)
    yield served
    served.stall.clear()
    served.server.shutdown()
    served.server.server_close()


@pytest.fixture
def publish(index, monkeypatch):
    """Put a wheel on the index and its source into the registry."""

    def _publish(name="tiny", content=b"a few rows\n", extra=None, tags="py3-none-any", **changes):
        members = {f"{name}/data/rows.txt": content}
        path = write_wheel(index.folder / f"{name}-1.0-{tags}.whl", members | (extra or {}))
        source = declare(path, members, **changes)
        monkeypatch.setattr(registry, "REGISTRY", (*(s for s in registry.REGISTRY if s.name != name), source))
        return source

    monkeypatch.setattr(registry, "REGISTRY", ())
    return _publish


@pytest.fixture
def make_wheel():
    return write_wheel


@pytest.fixture
def pin():
    return declare
