"""Tokenization: text cleaned, cut into pieces and turned into ids, by byte-level BPE, WordPiece or Unigram."""

from companion.tokenization.base import Tokenizer
from companion.tokenization.bert_text import BertText
from companion.tokenization.bpe import ByteLevelBPE, MergeStep
from companion.tokenization.bpe_training import count_words, learn_merges
from companion.tokenization.bytes_unicode import BYTE_TO_CHAR, bytes_to_chars, chars_to_bytes
from companion.tokenization.cleaning import clean_text, exact_duplicates, remove_stop_words
from companion.tokenization.near_duplicates import MinHash, choose_bands, jaccard, near_duplicates, shingles
from companion.tokenization.pretokenize import GPT2_PATTERN, GPT4_PATTERN, Pretokenizer
from companion.tokenization.ranks import read_ranks, recover_merges
from companion.tokenization.serialization import load
from companion.tokenization.unigram import Unigram
from companion.tokenization.wordpiece import WordPiece

__all__ = [
    "BYTE_TO_CHAR",
    "GPT2_PATTERN",
    "GPT4_PATTERN",
    "BertText",
    "ByteLevelBPE",
    "MergeStep",
    "MinHash",
    "Pretokenizer",
    "Tokenizer",
    "Unigram",
    "WordPiece",
    "bytes_to_chars",
    "chars_to_bytes",
    "choose_bands",
    "clean_text",
    "count_words",
    "exact_duplicates",
    "jaccard",
    "learn_merges",
    "load",
    "near_duplicates",
    "read_ranks",
    "recover_merges",
    "remove_stop_words",
    "shingles",
]
