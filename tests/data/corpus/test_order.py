"""Random orders: permutations, the same everywhere, and as even as chance."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from companion.data.corpus.order import key_of, permutation

ORDER = [0, 10, 4, 7, 3, 9, 6, 2, 1, 8, 5]
KEY = 8425915568280365108


@given(n=st.integers(0, 200), seed=st.integers(0, 2**70), epoch=st.integers(0, 10**9))
def test_every_number_is_there_once(n, seed, epoch):
    assert sorted(permutation(n, "documents", seed, epoch).tolist()) == list(range(n))


def test_the_order_is_written_down_here_because_it_must_never_change():
    assert permutation(11, "documents", 0, 0).tolist() == ORDER
    assert key_of("documents", 0, 0) == KEY


def test_another_seed_epoch_or_purpose_is_another_order():
    orders = [
        permutation(50, *parts) for parts in (("a", 0, 0), ("a", 0, 1), ("a", 1, 0), ("b", 0, 0), ("a", 10), ("a1", 0))
    ]
    assert len({tuple(order.tolist()) for order in orders}) == len(orders)


def test_every_place_is_as_likely_as_any_other():
    counts = np.zeros((5, 5))
    for seed in range(2000):
        counts[permutation(5, seed), np.arange(5)] += 1
    chi_squared = ((counts - 400) ** 2 / 400).sum()  # 16 degrees of freedom: below 39 with a probability of 0.999
    assert chi_squared < 39
