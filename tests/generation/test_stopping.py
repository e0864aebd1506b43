"""A text ends at the first end token or stop sequence, and says which; only what was written counts."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from companion.generation import generate
from companion.generation.stopping import StopWatch
from tests.generation.small import CONFIGS, make, prompts

MODEL = make(CONFIGS["gpt without biases"])
VOCAB = MODEL.config.vocab_size
tokens = st.integers(0, 4)


def write(script, **options):
    """Generate with a pick that writes these rows of tokens, whatever the model says."""
    rows = iter(torch.tensor(script).T)
    ids, _ = prompts(MODEL.config, (3,) * len(script))
    return generate(MODEL, ids, max_new_tokens=len(script[0]), pick=lambda logits, generator: next(rows), **options)


def ending(row, end_ids, sequences):
    """The slow definition: the length of the shortest beginning that ends somewhere, and why it ended."""
    for n in range(1, len(row) + 1):
        if any(row[:n][-len(s) :] == s for s in sequences if len(s) <= n):
            return n, "sequence"
        if row[n - 1] in end_ids:
            return n, "end"
    return len(row), "length"


@given(
    st.lists(st.lists(tokens, min_size=9, max_size=9), min_size=1, max_size=4),
    st.lists(tokens, max_size=2),
    st.lists(st.lists(tokens, min_size=1, max_size=3), max_size=3),
)
def test_every_text_ends_where_the_definition_says(script, end_ids, sequences):
    result = write(script, end_ids=end_ids, stop_sequences=sequences, pad_id=5)
    expected = [ending(row, end_ids, sequences) for row in script]
    assert list(zip(result.lengths.tolist(), result.reasons, strict=True)) == expected
    assert result.rows() == [row[:n] for row, (n, _) in zip(script, expected, strict=True)]
    assert result.ids.shape[1] == max(n for n, _ in expected)  # nothing is written after all have ended
    for row, n in zip(result.ids.tolist(), result.lengths.tolist(), strict=True):
        assert row[n:] == [5] * (len(row) - n)


def test_the_prompt_does_not_count():
    ids = torch.tensor([[1, 2, 3]])
    pick = lambda logits, generator: torch.tensor([4])  # noqa: E731
    result = generate(MODEL, ids, max_new_tokens=4, pick=pick, end_ids=[3], stop_sequences=[[3, 4], [2, 3]])
    assert result.reasons == ("length",)


def test_a_sequence_longer_than_the_text_never_ends_it():
    assert write([[1, 1]], stop_sequences=[[1, 1, 1]]).reasons == ("length",)


def test_a_sequence_that_overlaps_itself():
    assert write([[1, 2, 1, 2, 1, 3]], stop_sequences=[[1, 2, 1, 3]]).lengths.tolist() == [6]


def test_a_watch_without_conditions_watches_nothing():
    assert not StopWatch(3, torch.device("cpu"), (), ()).is_watching
