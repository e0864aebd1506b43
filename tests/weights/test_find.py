"""Where a checkpoint is: a folder, a model of companion.data, or a name of the hub, which may be out of reach."""

import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from companion.models import GPT, GPTConfig
from companion.weights import CheckpointError, find_checkpoint

CONFIG = GPTConfig(vocab_size=7, max_len=5, d_model=6, n_heads=2, n_layers=1)
COMMIT = "0123456789abcdef0123456789abcdef01234567"


def test_a_folder_is_found_as_a_string_a_path_and_from_home(tmp_path, monkeypatch):
    folder = GPT(CONFIG).save_pretrained(tmp_path / "mine")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    for name in (folder, str(folder), "mine", "./mine"):
        assert find_checkpoint(name).resolve() == folder
    if os.name == "posix":
        assert find_checkpoint("~/mine") == folder


def test_a_folder_comes_before_a_model_of_the_same_name(tmp_path, monkeypatch):
    folder = GPT(CONFIG).save_pretrained(tmp_path / "minilm")
    monkeypatch.chdir(tmp_path)
    assert find_checkpoint("minilm").resolve() == folder


@pytest.mark.parametrize("name", ["/no/such/folder", "./no", "~/no", "a/b/c", "no folder", "", ".", "..x"])
def test_a_path_that_leads_nowhere_is_no_name_of_the_hub(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    expected = CheckpointError if name == "." else FileNotFoundError
    with pytest.raises(
        expected, match=r"must be a folder, a model of companion\.data or of the hub|has no config\.json"
    ):
        GPT.from_pretrained(name)


def test_a_path_object_is_never_a_name_of_the_hub(tmp_path):
    with pytest.raises(FileNotFoundError, match="must be a folder"):
        find_checkpoint(tmp_path / "gpt2")


def test_one_file_of_a_checkpoint_is_not_the_checkpoint(tmp_path):
    folder = GPT(CONFIG).save_pretrained(tmp_path / "mine")
    with pytest.raises(CheckpointError, match=rf"not one file of it: give .*{folder.name}"):
        find_checkpoint(folder / "model.safetensors")


def test_a_model_that_has_not_been_fetched_says_how(tmp_path, monkeypatch):
    monkeypatch.setenv("COMPANION_CACHE", str(tmp_path))
    with pytest.raises(FileNotFoundError, match="companion data fetch minilm"):
        GPT.from_pretrained("minilm")


def test_a_revision_is_for_the_hub_alone(tmp_path):
    folder = GPT(CONFIG).save_pretrained(tmp_path / "mine")
    for name in (folder, "minilm"):
        with pytest.raises(ValueError, match=r"revision must be None for .*, which is not on the hub; got 'main'"):
            find_checkpoint(name, revision="main")
    with pytest.raises(TypeError, match="revision must be a string or None, got 3"):
        find_checkpoint("gpt2", revision=3)


def test_without_the_hub_s_library_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ImportError, match=r"huggingface_hub is needed to download a model .*plm-companion\[labs\]"):
        GPT.from_pretrained("gpt2")


class Hub:
    """The few answers of the hub that a download asks for, served from a folder on this machine."""

    def __init__(self, folder):
        self.folder = folder
        self.asked = []
        hub = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                hub.answer(self, body=True)

            def do_HEAD(self):
                hub.answer(self, body=False)

            def log_message(self, *arguments):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def answer(self, request, *, body):
        path = unquote(urlsplit(request.path).path)
        names = sorted(one.name for one in self.folder.iterdir())
        if path in {"/api/models/gpt2/revision/main", "/api/models/gpt2/revision/v2"}:
            files = [{"rfilename": name} for name in names]
            self.send(request, json.dumps({"id": "gpt2", "sha": COMMIT, "siblings": files}).encode(), "json", body)
        elif path.startswith("/api/models/gpt2/tree/"):
            files = [{"type": "file", "path": name, "size": 1, "oid": COMMIT} for name in names]
            self.send(request, json.dumps(files).encode(), "json", body)
        elif path.startswith("/gpt2/resolve/"):
            name = path.rpartition("/")[2]
            if body:
                self.asked.append(name)
            self.send(request, (self.folder / name).read_bytes(), "octet-stream", body)
        else:
            code = "RevisionNotFound" if path.startswith("/api/models/gpt2/") else "RepoNotFound"
            code = "GatedRepo" if "secret" in path else code
            request.send_response(403 if "secret" in path else 404)
            request.send_header("X-Error-Code", code)
            request.send_header("Content-Length", "0")
            request.end_headers()

    def send(self, request, content, kind, body):
        request.send_response(200)
        request.send_header("Content-Type", f"application/{kind}")
        request.send_header("Content-Length", str(len(content)))
        request.send_header("X-Repo-Commit", COMMIT)
        request.send_header("ETag", f'"{hash(content) & 0xFFFFFFFF:x}"')
        request.end_headers()
        if body:
            request.wfile.write(content)


# In a process of its own: the hub's library reads where the hub is when it is imported.
ASK = """
import json, os, sys
from companion.weights import find_checkpoint
answers = []
for name, revision in json.loads(sys.argv[1]):
    if revision == "offline":
        os.environ["COMPANION_OFFLINE"], revision = "1", None
    try:
        answers.append(str(find_checkpoint(name, revision=revision)))
    except Exception as error:
        answers.append(f"{type(error).__name__}: {error}")
print(json.dumps(answers))
"""


def ask(questions, tmp_path, url):
    settings = {"HF_HOME": str(tmp_path / "hub"), "HF_ENDPOINT": url, "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "COMPANION_OFF"))}
    settings |= {"NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1", "HF_HUB_ETAG_TIMEOUT": "2"}
    command = [sys.executable, "-c", ASK, json.dumps(questions)]
    run = subprocess.run(command, env=inherited | settings, capture_output=True, text=True, check=True)
    return json.loads(run.stdout)


def test_a_name_of_the_hub_is_downloaded_once_and_without_its_pickles(tmp_path):
    folder = GPT(CONFIG).save_pretrained(tmp_path / "repository")
    for name in ("pytorch_model.bin", "flax_model.msgpack", "README.md", "tokenizer.json"):
        (folder / name).write_text("{}")
    hub = Hub(folder)
    names = ["gpt2", "gpt2", "gpt2", "nobody/nothing", "nobody/secret", "nobody/nothing"]
    questions = list(zip(names, [None, "v2", "v3", None, None, "offline"], strict=True))
    first, second, no_revision, no_model, gated, forbidden = ask(questions, tmp_path, hub.url)
    assert sorted(hub.asked) == ["config.json", "model.safetensors", "tokenizer.json"]
    assert sorted(path.name for path in Path(first).iterdir()) == ["config.json", "model.safetensors", "tokenizer.json"]
    assert second == first
    assert GPT.from_pretrained(first).config == GPT.from_pretrained(folder).config
    assert no_revision.startswith("FileNotFoundError: the hub has no model 'gpt2' at revision 'v3': check the name")
    assert no_model.startswith("FileNotFoundError: the hub has no model 'nobody/nothing'")
    assert gated.startswith(
        "FileNotFoundError: the hub gives 'nobody/secret' only to those who have accepted its terms"
    )
    assert forbidden.startswith(
        "ConnectionError: 'nobody/nothing' is not in this machine's cache of the hub, and the hub"
    )

    hub.server.shutdown()
    hub.server.server_close()
    cached, absent = ask([("gpt2", None), ("t5-small", None)], tmp_path, hub.url)
    assert cached == first
    assert absent.startswith("ConnectionError: 't5-small' is not in this machine's cache of the hub, and the hub could")
    assert "give a folder that has the files, or a model of companion.data" in absent
