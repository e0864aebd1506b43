"""Word vectors: counting, GloVe, skip-gram, CBOW, how good they are, and vectors that depend on the sentence."""

from companion.embeddings.cbow import cbow_gradients, cbow_loss, train_cbow
from companion.embeddings.contextual import contextual_states, find_word
from companion.embeddings.cooccurrence import count_cooccurrences
from companion.embeddings.evaluation import Score, analogy_score, similarity_difference, similarity_score
from companion.embeddings.glove import glove_loss, glove_weight, train_glove
from companion.embeddings.skipgram import skipgram_gradients, skipgram_loss, train_skipgram
from companion.embeddings.trained import Trained
from companion.embeddings.vectors import WordVectors
from companion.embeddings.vocabulary import Corpus, Vocabulary, keep_probability, split_words

__all__ = [
    "Corpus",
    "Score",
    "Trained",
    "Vocabulary",
    "WordVectors",
    "analogy_score",
    "cbow_gradients",
    "cbow_loss",
    "contextual_states",
    "count_cooccurrences",
    "find_word",
    "glove_loss",
    "glove_weight",
    "keep_probability",
    "similarity_difference",
    "similarity_score",
    "skipgram_gradients",
    "skipgram_loss",
    "split_words",
    "train_cbow",
    "train_glove",
    "train_skipgram",
]
