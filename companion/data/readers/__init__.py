"""From the fetched files to clean rows: one module for each sort of source."""

from companion.data.readers.chinese import read_hsk, read_zh_news, read_zh_reviews
from companion.data.readers.interface import read_interface_strings
from companion.data.readers.labelled import (
    read_amazon_snippets,
    read_movie_snippets,
    read_sms_spam,
    read_trec_questions,
)
from companion.data.readers.text import read_boolq, read_factbook, read_kjv, read_recipes, read_wiki
from companion.data.readers.words import read_analogies, read_glove, read_word_pairs

__all__ = [
    "read_amazon_snippets",
    "read_analogies",
    "read_boolq",
    "read_factbook",
    "read_glove",
    "read_hsk",
    "read_interface_strings",
    "read_kjv",
    "read_movie_snippets",
    "read_recipes",
    "read_sms_spam",
    "read_trec_questions",
    "read_wiki",
    "read_word_pairs",
    "read_zh_news",
    "read_zh_reviews",
]
