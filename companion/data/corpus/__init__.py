"""A corpus for pretraining: cleaned, deduplicated, split, tokenised onto the disk, and dealt out in batches."""

from companion.data.corpus.bucketing import Bucketed
from companion.data.corpus.cleaning import clean_texts
from companion.data.corpus.duplicates import drop_duplicates
from companion.data.corpus.packing import PackedRows
from companion.data.corpus.prepare import Corpus, Texts, choose_texts, prepare_corpus
from companion.data.corpus.report import Kept, Report
from companion.data.corpus.sentences import split_sentences
from companion.data.corpus.shards import Shards
from companion.data.corpus.splitting import Split, SplitReport, split_documents

__all__ = [
    "Bucketed",
    "Corpus",
    "Kept",
    "PackedRows",
    "Report",
    "Shards",
    "Split",
    "SplitReport",
    "Texts",
    "choose_texts",
    "clean_texts",
    "drop_duplicates",
    "prepare_corpus",
    "split_documents",
    "split_sentences",
]
