"""Laws of the registry: every source is a whole, safe pin with a licence."""

import dataclasses
import re
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from companion.data import Bundle, card_table, sources
from companion.data.cards import download_size, megabytes, short_licence
from companion.data.registry import get
from companion.data.source import PICKLED, READABLE, check_member, is_safe_path


def test_names_are_unique_and_found_by_get():
    names = [source.name for source in sources()]
    assert len(set(names)) == len(names)
    assert [get(name).name for name in names] == names


def test_an_unknown_name_lists_the_known_ones():
    known = ", ".join(source.name for source in sources())
    with pytest.raises(ValueError, match=rf"name must be one of {known}; got 'wikipedia'"):
        get("wikipedia")


@pytest.mark.parametrize("source", sources(), ids=lambda source: source.name)
def test_every_source_says_licence_origin_size_and_exact_file(source):
    assert source.licence
    assert source.origin
    assert source.holds
    assert source.version in source.filename
    assert source.filename.startswith(source.distribution.replace("-", "_"))
    assert (source.rows is not None) == (source.reader is not None)
    assert (source.characters is not None) == (source.kind == "dataset" and source.split_by is not None)


def test_sources_of_one_package_have_one_pin_and_are_counted_once():
    pins = {(s.distribution, s.version, s.filename, s.sha256, s.size) for s in sources()}
    assert len(pins) == len({pin[0] for pin in pins})
    assert download_size(sources()) == sum(pin[-1] for pin in pins) < 400e6


def test_sources_of_one_use_stand_together():
    uses = [source.use for source in sources()]
    assert uses == sorted(uses, key=uses.index)


def test_a_doubtful_licence_is_called_so_in_its_first_word():
    licences = {source.name: short_licence(source) for source in sources()}
    assert licences["zh_reviews"] == licences["zh_news"] == "Doubtful"
    assert licences["wiki"] == "CC BY-SA 4.0"
    assert max(map(len, licences.values())) < 20


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sha256": "a" * 63}, "64 hexadecimal digits"),
        ({"sha256": "G" * 64}, "64 hexadecimal digits"),
        ({"name": "Wiki page"}, "lower-case letters"),
        ({"name": "../wiki"}, "lower-case letters"),
        ({"filename": "wiki.exe"}, r"must be a \.whl"),
        ({"filename": "../wiki.whl"}, "a plain file name"),
        ({"version": "1/../.."}, "version of 'wiki'"),
        ({"size": 0}, "must be positive"),
        ({"unpacked": -1}, "must be positive"),
        ({"members": ()}, "one or more paths"),
        ({"members": ("a/x.txt", "b/x.txt")}, "distinct base names"),
        ({"members": ("../x.txt",)}, "outside its folder"),
        ({"members": ("model/pytorch_model.bin",)}, "may hold a pickle"),
        ({"members": ("model/code.py",)}, "only .csv, .json"),
        ({"members": (Bundle("all.txt", "model/*.json"),)}, r"kept as a \.jsonl file"),
        ({"members": (Bundle("../all.jsonl", "model/*.json"),)}, r"kept as a \.jsonl file"),
        ({"members": (Bundle("all.jsonl", "../*/*.json"),)}, "outside its folder"),
        ({"members": (Bundle("all.jsonl", "model/*.bin"),)}, "may hold a pickle"),
        ({"members": (Bundle("x.jsonl", "a/*.json"), "b/x.jsonl")}, "distinct base names"),
        ({"kind": "model"}, "must have a reader if it is a dataset or vectors, and none else"),
        ({"reader": None}, "must have a reader if it is a dataset or vectors, and none else"),
    ],
)
def test_an_unsafe_or_incomplete_pin_cannot_be_declared(changes, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(get("wiki"), **changes)


@pytest.mark.parametrize("suffix", sorted(PICKLED | {".PKL", ".Bin"}))
def test_every_pickled_format_is_refused_with_the_reason(suffix):
    with pytest.raises(ValueError, match=r"may hold a pickle, which runs code when it is read; pin the \.safetensors"):
        check_member(f"model/weights{suffix}")


def test_no_format_is_both_read_and_refused():
    assert not PICKLED & READABLE


@given(st.text(alphabet="ab./\\:C\0 ", max_size=12))
@example("/etc/passwd")
@example("..")
@example("a/../../b")
@example("..\\b")
@example("C:x")
def test_a_path_that_is_accepted_stays_in_the_folder(path):
    folder = Path("/cache/source")
    if is_safe_path(path):
        assert ".." not in PurePosixPath(path).parts
        assert (folder / path).is_relative_to(folder)
        assert (folder / path.replace("\\", "/")).is_relative_to(folder)


def test_cards_carry_what_the_book_must_print():
    for card in card_table():
        assert {"name", "kind", "holds", "licence", "origin", "package", "download", "unpacked", "sha256"} <= set(card)
        assert all(card.values())


def test_the_book_s_page_names_every_source_once_under_its_use_and_says_the_total(repository_root):
    page = (repository_root / "book/data.md").read_text("utf8")
    told = re.findall(r"^- `(\w+)`: ", page, re.MULTILINE)
    assert told == [source.name for source in sources()]
    for use in {source.use for source in sources()}:
        section = page.partition(f"**{use.capitalize()}**")[2].partition("**")[0]
        assert re.findall(r"^- `(\w+)`: ", section, re.MULTILINE) == [s.name for s in sources() if s.use == use]
    assert f"{megabytes(download_size(sources()))}" in page


def test_the_readme_says_how_much_is_fetched(repository_root):
    tens = round(download_size(sources()) / 1e7) * 10
    assert f"(about {tens} MB, by checksum)" in (repository_root / "README.md").read_text("utf8")
