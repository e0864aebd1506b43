"""Sentences: cut where they end, and nothing lost."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from companion.data.corpus import split_sentences


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("", []),
        (" \n ", []),
        ("One. Two! Three? Four", ["One.", "Two!", "Three?", "Four"]),
        ("He met Mr. Smith at 3.5 p.m. in Rome. It rained.", ["He met Mr. Smith at 3.5 p.m. in Rome.", "It rained."]),
        ("J. R. R. Tolkien wrote it. So they say.", ["J. R. R. Tolkien wrote it.", "So they say."]),
        ('"Is it?" she asked. "No."', ['"Is it?" she asked.', '"No."']),
        ("他说：“你好。”然后走了！真的吗？对", ["他说：“你好。”", "然后走了！", "真的吗？", "对"]),
        ("A title\nA line. 中文。 English.", ["A title", "A line.", "中文。", "English."]),
        ("See e.g. Table 2, cf. Kant, etc. It is so.", ["See e.g. Table 2, cf. Kant, etc. It is so."]),
        ("Wait... what? Yes.", ["Wait... what?", "Yes."]),
    ],
)
def test_sentences_end_where_a_reader_ends_them(text, sentences):
    assert split_sentences(text) == sentences


@given(text=st.text(st.sampled_from("ab.A!? \n。“”猫\0🐈'"), max_size=40))
def test_nothing_but_white_space_is_lost(text):
    sentences = split_sentences(text)
    assert "".join("".join(sentences).split()) == "".join(text.split())
    assert all(sentence == sentence.strip() != "" for sentence in sentences)


@pytest.mark.parametrize("text", [None, 3, b"a", ["a"]])
def test_what_is_no_text_is_named(text):
    with pytest.raises(TypeError, match="text must be a string"):
        split_sentences(text)
