"""Tokenised texts on disk: whole or not there, never stale, taken up after a kill, mapped and not read."""

import json
import os
import signal
import subprocess
import sys
import threading
from multiprocessing.reduction import ForkingPickler
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from companion.data import DataError
from companion.data.corpus import Shards, building
from companion.tokenization import ByteLevelBPE

TOKENIZER = ByteLevelBPE.train(["the cat sat on the mat"] * 3, vocab_size=265, special_tokens=["<end>"])
TEXTS = ["the cat", "", "猫坐在垫子上", "a\0b", "🐈‍⬛ the", "mat " * 50]


def ids(shards):
    return [document.tolist() for document in (shards[index] for index in range(len(shards)))]


def build(folder, texts=TEXTS, encode=TOKENIZER, **options):
    return Shards.build(texts, encode, folder, progress=False, **options)


@pytest.fixture
def small_parts(monkeypatch):
    monkeypatch.setattr(building, "PART", 10)


@given(
    texts=st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1, max_size=8), part=st.integers(1, 20)
)
def test_what_is_read_is_what_was_encoded(tmp_path_factory, texts, part):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(building, "PART", part)
        shards = build(tmp_path_factory.mktemp("shards") / "new", texts)
    assert ids(shards) == TOKENIZER.encode_batch(texts)
    assert shards.lengths.tolist() == [len(document) for document in ids(shards)]
    assert shards.n_tokens == sum(shards.lengths)
    assert shards.dataset["input_ids"][:] == ids(shards)


def test_documents_may_begin_and_end_with_tokens_of_their_own(tmp_path):
    end = TOKENIZER.vocab["<end>"]
    shards = build(tmp_path / "new", ["the", ""], begin=[end], end=[end, 0])
    assert ids(shards) == [[end, *TOKENIZER.encode("the"), end, 0], [end, end, 0]]


def test_any_function_will_do_if_it_has_a_name(tmp_path):
    shards = build(tmp_path / "new", ["ab", "c"], lambda text: [ord(letter) for letter in text], fingerprint="ord")
    assert ids(shards) == [[97, 98], [99]]
    assert shards.vocab_size is None
    assert shards[0].dtype == np.int32


def test_a_generator_is_read_once(tmp_path):
    assert ids(build(tmp_path / "new", (text for text in TEXTS))) == TOKENIZER.encode_batch(TEXTS)


def test_one_giant_text_is_one_document(tmp_path):
    shards = build(tmp_path / "new", ["猫 and cat\n" * 300_000], lambda text: list(text.encode()), fingerprint="bytes")
    assert shards.lengths.tolist() == [len("猫 and cat\n".encode()) * 300_000]


def test_texts_of_nothing_are_documents_without_tokens(tmp_path):
    shards = build(tmp_path / "new", ["", ""])
    assert ids(shards) == [[], []]
    assert shards.lengths.tolist() == [0, 0]


def test_a_vocabulary_of_65536_takes_two_bytes_a_token(tmp_path):
    many = list(range(65_536))
    small = build(tmp_path / "small", ["a"], lambda _: many, vocab_size=2**16, fingerprint="many")
    large = build(tmp_path / "large", ["a"], lambda _: many, vocab_size=2**16 + 1, fingerprint="many")
    assert (small[0].dtype, large[0].dtype) == (np.uint16, np.int32)
    assert ids(small) == ids(large) == [many]
    assert sum(part["bytes"] for part in small.manifest["parts"]) < 2 * 65_536 + 2000


def test_a_document_cannot_be_changed(tmp_path):
    with pytest.raises(ValueError, match="read-only"):
        build(tmp_path / "new")[0][:] = 0


def test_another_process_is_sent_the_folder_and_not_the_tokens(tmp_path):
    shards = build(tmp_path / "new", ["a" * 100_000], lambda text: list(text.encode()), fingerprint="bytes")
    sent = ForkingPickler.dumps(shards)
    assert len(sent) < 1000
    assert ids(ForkingPickler.loads(sent)) == ids(shards)


OPENING = """
import json, resource, sys
from companion.data.corpus import Shards
def resident():
    return int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize()
Shards.open(sys.argv[2])  # loads the libraries
before = resident()
shards = Shards.open(sys.argv[1])
opened = resident() - before
total = sum(int(shards[index].sum()) for index in range(len(shards)))
print(json.dumps([opened, resident() - before, total]))
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="only Linux says how much memory is resident")
def test_opening_maps_the_file_and_reads_next_to_nothing(tmp_path):
    n, size = 16, 1_000_000
    large = build(tmp_path / "large", map(str, range(n)), lambda text: np.full(size, int(text)), fingerprint="full")
    small = build(tmp_path / "small")
    command = [sys.executable, "-c", OPENING, str(large.folder), str(small.folder)]
    opened, read, total = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    assert total == size * n * (n - 1) // 2
    assert opened < 4e6  # of 64 MB
    assert read > 50e6


# A build that is stopped.


class Stopped(BaseException):
    """What no handler of errors catches, as none catches SIGKILL."""


def test_a_build_stopped_at_any_write_leaves_nothing_and_is_taken_up(tmp_path, monkeypatch, small_parts):
    whole = build(tmp_path / "whole")
    assert len(whole.manifest["parts"]) > 2
    sync, replace = os.fsync, Path.replace
    for stop in range(100):
        calls = []

        def count(calls=calls, stop=stop):
            calls.append(None)
            if len(calls) > stop:
                raise Stopped

        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", lambda file, count=count: (count(), sync(file)))
            patch.setattr(Path, "replace", lambda path, target, count=count: (count(), replace(path, target))[1])
            folder = tmp_path / f"stopped-{stop}"
            try:
                build(folder)
            except Stopped:
                assert not folder.exists()
            else:
                break
        again = build(folder)
        assert ids(again) == ids(whole)
        assert {path.name for path in again.folder.iterdir()} == {path.name for path in whole.folder.iterdir()}
        assert again.manifest == whole.manifest
    assert stop > 10


KILLED = """
import os, signal, sys
from pathlib import Path
from companion.data.corpus import Shards, building
building.PART = 10
def encode(text):
    with open(sys.argv[2], "a") as log:
        log.write(text + "\\n")
    if sys.argv[3] == text:
        os.kill(os.getpid(), signal.SIGKILL)
    return list(text.encode())
Shards.build([f"text number {i}" for i in range(9)], encode, sys.argv[1], fingerprint="bytes", progress=False)
"""


def test_a_killed_build_leaves_nothing_and_the_next_one_goes_on(tmp_path):
    folder, log = tmp_path / "new", tmp_path / "log"

    def run(fatal):
        log.write_text("")
        return subprocess.run([sys.executable, "-c", KILLED, str(folder), str(log), fatal], check=False).returncode

    assert run("text number 6") == -signal.SIGKILL
    assert not folder.exists()
    with pytest.raises(FileNotFoundError, match=r"there are no shards in .*Shards\.build"):
        Shards.open(folder)
    assert run("") == 0
    assert log.read_text().split("\n")[:-1] == [f"text number {number}" for number in (6, 7, 8)]
    assert ids(Shards.open(folder)) == [list(f"text number {number}".encode()) for number in range(9)]


def test_parts_of_other_texts_are_neither_used_nor_kept(tmp_path, small_parts):
    def broken(text):
        if text == "three, which is long":
            raise ZeroDivisionError
        return list(text.encode())

    with pytest.raises(ZeroDivisionError):
        build(
            tmp_path / "new",
            ["one, which is long", "two, which is long", "three, which is long"],
            broken,
            fingerprint="a",
        )
    shards = build(tmp_path / "new", ["two, which is long", "one, which is long"], broken, fingerprint="b")
    assert [bytes(document).decode() for document in ids(shards)] == ["two, which is long", "one, which is long"]
    assert len(list(shards.folder.iterdir())) == 3


def test_two_builds_of_one_folder_wait_for_each_other(tmp_path):
    order = []

    def slow(text):
        order.append(text)
        return [1]

    with building.locked(tmp_path / "new", building.Console(quiet=True)):
        other = threading.Thread(target=lambda: build(tmp_path / "new", ["a"], slow, fingerprint="one"), daemon=True)
        other.start()
        other.join(timeout=0.3)
        assert other.is_alive()
        assert not order
    other.join(timeout=60)
    assert order == ["a"]
    build(tmp_path / "new", ["a"], slow, fingerprint="one")
    assert order == ["a"]


# What is there already.


def test_the_same_build_again_encodes_nothing(tmp_path, monkeypatch):
    first = build(tmp_path / "new")
    monkeypatch.setattr(ByteLevelBPE, "encode_batch", None)
    assert ids(build(tmp_path / "new")) == ids(first)


OTHER = ByteLevelBPE.train(["the cat sat on the mat"] * 3, vocab_size=264, special_tokens=["<end>"])


@pytest.mark.parametrize(
    ("change", "changed"),
    [
        ({"texts": [*TEXTS[:-1], "mat"]}, "texts"),
        ({"texts": [*TEXTS, "more"]}, "texts"),
        ({"texts": TEXTS[:-1]}, "texts"),
        ({"texts": TEXTS[::-1]}, "texts"),
        ({"encode": OTHER, "vocab_size": 265}, "encode"),
        ({"fingerprint": "mine"}, "encode"),
        ({"begin": [1]}, "begin"),
        ({"end": [1]}, "end"),
        ({"vocab_size": 300}, "vocab_size"),
    ],
)
def test_nothing_stale_is_ever_opened(tmp_path, small_parts, change, changed):
    first = build(tmp_path / "new")
    with pytest.raises(ValueError, match=rf"folder must be a new one .*\(changed: {changed}\)"):
        build(tmp_path / "new", **change)
    assert ids(Shards.open(tmp_path / "new")) == ids(first)
    assert build(tmp_path / "other", **change).fingerprint != first.fingerprint


def test_a_folder_of_something_else_is_left_alone(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("precious")
    with pytest.raises(ValueError, match=r"folder must be a new one or hold shards, but .*mine holds something else"):
        build(tmp_path / "mine")
    with pytest.raises(ValueError, match="holds something else"):
        build(tmp_path / "mine" / "thesis.txt")
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "precious"


def test_an_empty_folder_is_a_new_one(tmp_path):
    (tmp_path / "new").mkdir()
    assert len(build(tmp_path / "new")) == len(TEXTS)


# Damage.


def first_part(shards):
    return shards.folder / shards.manifest["parts"][0]["file"]


def test_a_missing_or_cut_file_is_named(tmp_path):
    path = first_part(build(tmp_path / "new"))
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(DataError, match=rf"{path.name} has \d+ bytes, not \d+: delete the folder and build it again"):
        Shards.open(tmp_path / "new")
    path.unlink()
    with pytest.raises(DataError, match=rf"{path.name} is missing: delete the folder"):
        Shards.open(tmp_path / "new")


def test_a_changed_byte_is_found_by_verify(tmp_path):
    shards = build(tmp_path / "new")
    shards.verify()
    path = first_part(shards)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(DataError, match=rf"{path.name} has changed"):
        shards.verify()


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"settings": {"format": 1}, "parts": [{"file": 3}]}'])
def test_a_damaged_outline_is_named(tmp_path, content):
    (build(tmp_path / "new").folder / building.MANIFEST).write_text(content)
    with pytest.raises(DataError, match=r"shards\.json is damaged: delete the folder"):
        Shards.open(tmp_path / "new")


def test_files_of_another_version_are_named(tmp_path, monkeypatch):
    build(tmp_path / "new")
    monkeypatch.setattr(building, "FORMAT", 2)
    with pytest.raises(DataError, match="has the format 1, not 2: delete the folder"):
        Shards.open(tmp_path / "new")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a device that is always full")
def test_a_full_disk_is_one_clear_error(tmp_path, monkeypatch):
    write = building.write_arrow
    with monkeypatch.context() as patch:
        patch.setattr(building, "write_arrow", lambda path, *rest: write(Path("/dev/full"), *rest))
        with pytest.raises(
            DataError, match=r"cannot write shards into .*new: the disk is full \(.* MB are free\)\. Make room"
        ):
            build(tmp_path / "new")
    assert not (tmp_path / "new").exists()
    assert ids(build(tmp_path / "new")) == TOKENIZER.encode_batch(TEXTS)


def test_a_folder_that_cannot_be_made_is_one_clear_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match=r"cannot write shards into .*file/new: "):
        build(tmp_path / "file" / "new")


def test_an_error_of_the_texts_own_is_not_taken_for_one_of_the_disk(tmp_path):
    def texts():
        yield "a"
        raise FileNotFoundError("my own")

    with pytest.raises(FileNotFoundError, match="my own"):
        build(tmp_path / "new", texts())


# Bad input.


@pytest.mark.parametrize(
    ("texts", "error", "message"),
    [
        ("one text", TypeError, r"texts must be an iterable of strings, got one str; write \[texts\]"),
        (3, TypeError, "texts must be an iterable of strings"),
        (["a", 3], TypeError, r"texts\[1\] must be a string, got int"),
        (["a", None], TypeError, r"texts\[1\] must be a string, got NoneType"),
        ([b"a"], TypeError, r"texts\[0\] must be a string, got bytes; decode it first"),
        (["a", "\ud83d"], ValueError, r"texts\[1\] must be valid Unicode, got the lone surrogate U\+D83D"),
        ([], ValueError, "texts must hold at least one document, got none"),
    ],
)
def test_wrong_texts_are_named(tmp_path, texts, error, message):
    with pytest.raises(error, match=message):
        build(tmp_path / "new", iter(texts) if isinstance(texts, list) else texts)  # a list is looked into under pytest
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("result", "error", "message"),
    [
        ([1, -1], ValueError, r"encode\(text\) must be token ids from 0 to 9, got -1; is it of another tokenizer\?"),
        ([1, 10], ValueError, "must be token ids from 0 to 9, got 10"),
        ([2**70], TypeError, "must be a list of token ids"),
        ([0.5], TypeError, "must be a list of token ids"),
        ([True], TypeError, "must be a list of token ids"),
        ([[1]], TypeError, "must be a list of token ids"),
        ([[1], [2, 3]], TypeError, "must be a list of token ids"),
        ("ids", TypeError, "must be a list of token ids"),
        (None, TypeError, "must be a list of token ids"),
        (7, TypeError, "must be a list of token ids"),
    ],
)
def test_wrong_ids_are_named(tmp_path, result, error, message):
    with pytest.raises(error, match=message):
        build(tmp_path / "new", ["a"], lambda _: result, fingerprint="wrong", vocab_size=10)
    assert not (tmp_path / "new").exists()


def test_ids_without_a_vocabulary_must_fit_the_files(tmp_path):
    with pytest.raises(ValueError, match="must be token ids from 0 to 2147483647, got 2147483648"):
        build(tmp_path / "new", ["a"], lambda _: [2**31], fingerprint="large")


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"encode": "bpe"}, TypeError, "encode must be a tokenizer or a function"),
        ({"encode": len}, ValueError, "fingerprint must be given when encode is a function"),
        ({"fingerprint": 3}, TypeError, "fingerprint must be a string, got 3"),
        ({"begin": 3}, TypeError, "begin must be a list of token ids"),
        ({"end": [-1]}, ValueError, "end must be token ids from 0 to"),
        ({"end": [265]}, ValueError, "end must be token ids from 0 to 264, got 265"),
        ({"vocab_size": 0}, ValueError, "vocab_size must be at least 1"),
        ({"folder": None}, TypeError, "folder must be a path, got None"),
    ],
)
def test_wrong_options_are_named(tmp_path, options, error, message):
    with pytest.raises(error, match=message):
        build(**({"folder": tmp_path / "new"} | options))


@pytest.mark.parametrize(("index", "error"), [(6, IndexError), (-1, ValueError), (0.0, TypeError)])
def test_a_wrong_index_is_named(tmp_path, index, error):
    with pytest.raises(error, match="index must be"):
        build(tmp_path / "new")[index]


def test_a_tokenizer_and_its_method_are_the_same(tmp_path):
    build(tmp_path / "new")
    assert len(build(tmp_path / "new", encode=TOKENIZER.encode)) == len(TEXTS)
