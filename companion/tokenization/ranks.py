"""Read the ranks that tiktoken stores, and find the merges that they came from."""

import base64
import os
from collections.abc import Mapping
from pathlib import Path

from companion.tokenization.merging import MergeTable


def read_ranks(path: str | os.PathLike[str]) -> dict[bytes, int]:
    """Read a ``.tiktoken`` file: on each line a token in base64 and its rank, which is its id.

    Raises
    ------
    ValueError
        If a line is not such a pair.
    """
    ranks: dict[bytes, int] = {}
    for number, line in enumerate(Path(path).read_bytes().splitlines(), start=1):
        try:
            token, rank = line.split()
            ranks[base64.b64decode(token, validate=True)] = int(rank)
        except ValueError:
            raise ValueError(
                f"path must be a .tiktoken file, a token in base64 and its rank on each line; line {number} of "
                f"{os.fspath(path)!r} is {line[:80]!r}"
            ) from None
    return ranks


def recover_merges(ranks: Mapping[bytes, int]) -> list[tuple[bytes, bytes]]:
    """Find the two tokens that each token was merged from.

    Those two are what the earlier merges make of the token's bytes. For every token of a trained vocabulary two are
    left: while a pair was being counted inside longer words, no earlier merge had crossed its borders.

    Parameters
    ----------
    ranks
        The rank of each token. The single bytes are tokens too.

    Raises
    ------
    ValueError
        If a byte is missing, two tokens have the same rank, or a token is not merged from two of lower rank.
    """
    if len(set(ranks.values())) < len(ranks):
        raise ValueError("ranks must differ from token to token, got the same rank twice")
    if missing := [byte for byte in range(256) if bytes([byte]) not in ranks]:
        example = bytes(missing[:1])
        raise ValueError(f"ranks must hold each single byte, {len(missing)} are missing, such as {example!r}")
    token_of = {rank: token for token, rank in ranks.items()}
    table = MergeTable([ranks[bytes([byte])] for byte in range(256)])
    merges = []
    for rank, token in sorted(token_of.items()):
        if len(token) == 1:
            continue
        parts = table.apply(token)
        if len(parts) != 2:
            raise ValueError(
                f"ranks must come from merges of pairs: {token!r} of rank {rank} is made of "
                f"{[token_of[part] for part in parts]}"
            )
        left, right = parts
        table.add(left, right, rank)
        merges.append((token_of[left], token_of[right]))
    return merges
