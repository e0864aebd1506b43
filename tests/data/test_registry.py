"""Laws of the registry: every source is a whole, safe pin with a licence."""

import dataclasses
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from companion.data import card_table, sources
from companion.data.registry import PICKLED, check_member, get, is_safe_path


def test_names_are_unique_and_found_by_get():
    names = [source.name for source in sources()]
    assert len(set(names)) == len(names)
    assert [get(name).name for name in names] == names


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(ValueError, match=r"name must be one of wiki, recipes, minilm; got 'wikipedia'"):
        get("wikipedia")


@pytest.mark.parametrize("source", sources(), ids=lambda source: source.name)
def test_every_source_says_licence_origin_size_and_exact_file(source):
    assert source.licence
    assert source.origin
    assert source.holds
    assert source.version in source.filename
    assert source.filename.startswith(source.distribution.replace("-", "_"))
    assert (source.rows is not None) == (source.characters is not None) == (source.kind == "dataset")


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
    ],
)
def test_an_unsafe_or_incomplete_pin_cannot_be_declared(changes, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(get("wiki"), **changes)


@pytest.mark.parametrize("suffix", sorted(PICKLED | {".PKL", ".Bin"}))
def test_every_pickled_format_is_refused_with_the_reason(suffix):
    with pytest.raises(ValueError, match=r"may hold a pickle, which runs code when it is read; pin the \.safetensors"):
        check_member(f"model/weights{suffix}")


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
