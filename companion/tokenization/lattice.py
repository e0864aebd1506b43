"""All segmentations of many words at once, for the training of Unigram."""

from array import array
from collections.abc import Mapping

import numpy as np


class Lattices:
    """The ways to cut each of many words into pieces, as one graph.

    A node is a position in a word, an edge a piece that leads from one position to a later one. Nodes are numbered by
    position first and word second, so that all edges into one position of any word lie side by side and numpy takes
    one step for all words. An edge's *share* is the probability that a segmentation that reaches its end came along
    it: it gives the expected counts, and drawing edges by it from the end backwards draws a segmentation.

    Parameters
    ----------
    words
        The words, none of them empty; each must be a chain of pieces.
    piece_ids
        The number of each piece.
    whole
        Whether a word that is itself a piece may stay whole.
    """

    def __init__(self, words: list[str], piece_ids: Mapping[str, int], *, whole: bool = True):
        lengths = np.array([len(word) for word in words], dtype=np.int64)
        # Long words first: those that reach a position are then the first so many.
        self.order = np.argsort(-lengths, kind="stable")
        n_reaching = len(words) - np.searchsorted(np.sort(lengths), np.arange(lengths.max(initial=0) + 1))
        self.first_node = np.concatenate([[0], np.cumsum(n_reaching)])
        self.last_nodes = self.first_node[lengths[self.order]] + np.arange(len(words))
        longest = max(map(len, piece_ids), default=0)
        edges = array("q")
        for rank, index in enumerate(self.order.tolist()):
            word = words[index]
            for start in range(len(word)):
                for end in range(start + 1, min(len(word), start + longest) + 1):
                    piece = piece_ids.get(word[start:end])
                    if piece is not None and (whole or end - start < len(word)):
                        edges.extend((rank, start, end, piece))
        ranks, starts, ends, pieces = np.frombuffer(edges, dtype=np.int64).reshape(-1, 4).T
        self._set_edges(self.first_node[starts] + ranks, self.first_node[ends] + ranks, pieces)

    def _set_edges(self, starts: np.ndarray, ends: np.ndarray, pieces: np.ndarray) -> None:
        by_end = np.argsort(ends, kind="stable")
        self.starts, self.ends, self.pieces = starts[by_end], ends[by_end], pieces[by_end]
        bounds = np.searchsorted(self.ends, self.first_node)
        self._steps = []
        for position in range(1, len(self.first_node) - 1):
            edges = slice(bounds[position], bounds[position + 1])
            nodes = slice(self.first_node[position], self.first_node[position + 1])
            degrees = np.bincount(self.ends[edges] - nodes.start, minlength=nodes.stop - nodes.start)
            self._steps.append((edges, nodes, degrees, np.cumsum(degrees) - degrees))

    def without(self, kept: np.ndarray) -> None:
        """Remove the pieces that are not kept and number the others anew.

        Every word must still be a chain of pieces.
        """
        alive = kept[self.pieces]
        new_ids = np.cumsum(kept) - 1
        self._set_edges(self.starts[alive], self.ends[alive], new_ids[self.pieces[alive]])

    def forward(self, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Add up the probabilities of all segmentations, from the left.

        Returns
        -------
        log_probabilities
            Of each word, in the order of ``words``: the logarithm of the sum over its segmentations.
        shares
            Of each edge.
        """
        reached = np.zeros(self.first_node[-1])
        shares = np.empty(len(self.pieces))
        for edges, nodes, degrees, firsts in self._steps:
            ways = reached[self.starts[edges]] + scores[self.pieces[edges]]
            best = np.maximum.reduceat(ways, firsts)
            ways = np.exp(ways - np.repeat(best, degrees))
            total = np.add.reduceat(ways, firsts)
            reached[nodes] = best + np.log(total)
            shares[edges] = ways / np.repeat(total, degrees)
        log_probabilities = np.empty(len(self.order))
        log_probabilities[self.order] = reached[self.last_nodes]
        return log_probabilities, shares

    def expected_counts(self, scores: np.ndarray, word_counts: np.ndarray) -> tuple[np.ndarray, float]:
        """Return how often each piece is expected in the words, and the log-likelihood of the words.

        The counts are the gradient of the log-likelihood with respect to the scores, so they come from going back
        along the edges.
        """
        log_probabilities, shares = self.forward(scores)
        flow = np.zeros(self.first_node[-1])
        flow[self.last_nodes] = word_counts[self.order]
        for edges, *_ in reversed(self._steps):
            shares[edges] *= flow[self.ends[edges]]
            np.add.at(flow, self.starts[edges], shares[edges])
        return np.bincount(self.pieces, shares, minlength=len(scores)), float(word_counts @ log_probabilities)
