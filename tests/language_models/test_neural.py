"""The neural model: its laws, its equation spelled out, and that training raises the likelihood."""

import pytest
import torch
import torch.nn.functional as F

from companion.language_models import (
    NeuralConfig,
    NeuralModel,
    TrainingConfig,
    Vocabulary,
    log_probabilities,
    perplexity,
    train,
)
from companion.language_models.training import _epoch

BATCH, LENGTH = 3, 11
TEXTS = ["abcabcabc", "bcabca", "cab", "", "abcabcabcabc"]
VOCABULARY = Vocabulary.build(TEXTS)
CONFIG = NeuralConfig(vocab_size=len(VOCABULARY), window=3, d_embedding=7, d_hidden=13)


def model(**changes):
    config = NeuralConfig(**{**CONFIG.__dict__, **changes})
    return NeuralModel(config, torch.Generator().manual_seed(0)).double().eval()


def ids(batch=BATCH, length=LENGTH):
    drawn = torch.randint(len(VOCABULARY), (batch, length), generator=torch.Generator().manual_seed(1))
    drawn[:, 0] = VOCABULARY.start_id
    return drawn


@pytest.mark.parametrize("remember", [True, False])
@pytest.mark.parametrize("window", [1, 2, 5])
def test_the_model_is_its_equation(remember, window):
    m, inputs = model(remember=remember, window=window), ids()
    scores = m(inputs)
    for row in range(BATCH):
        for pos in range(LENGTH):
            seen = [m.embedding.weight[VOCABULARY.start_id]] * window + [m.embedding.weight[i] for i in inputs[row]]
            parts = seen[pos + 1 : pos + 1 + window]
            if remember:
                parts.append(sum(seen[window : window + pos + 1]) / (pos + 1) ** 0.5)
            hidden = F.relu(m.hidden(torch.cat(parts)))
            features = F.layer_norm(m.project(hidden) + seen[window + pos], (7,), m.norm.weight, m.norm.bias)
            torch.testing.assert_close(scores[row, pos], m.embedding.weight[:-1] @ features + m.bias)


@pytest.mark.parametrize("remember", [True, False])
def test_a_later_token_never_changes_earlier_scores(remember):
    m, inputs = model(remember=remember), ids()
    changed = inputs.clone()
    changed[:, 6] = (changed[:, 6] + 1) % len(VOCABULARY)
    before, after = m(inputs), m(changed)
    assert torch.equal(before[:, :6], after[:, :6])
    assert not torch.equal(before[:, 6], after[:, 6])


@pytest.mark.parametrize(("remember", "feels"), [(True, True), (False, False)])
def test_only_a_model_that_remembers_feels_what_left_the_window(remember, feels):
    m, inputs = model(remember=remember), ids()
    changed = inputs.clone()
    changed[:, 2] = (changed[:, 2] + 1) % len(VOCABULARY)
    assert torch.equal(m(inputs)[:, 5:], m(changed)[:, 5:]) != feels


def test_padding_and_company_change_no_score():
    m = model()
    together = log_probabilities(m, VOCABULARY, TEXTS)
    apart = torch.cat([log_probabilities(m, VOCABULARY, [text]) for text in TEXTS])
    torch.testing.assert_close(together, apart)
    assert together.shape == (sum(len(text) + 1 for text in TEXTS),)
    assert log_probabilities(m, VOCABULARY, []).shape == (0,)


def test_probabilities_sum_to_one_and_the_start_is_never_predicted():
    scores = model()(ids())
    assert scores.shape == (BATCH, LENGTH, len(VOCABULARY))
    torch.testing.assert_close(scores.softmax(-1).sum(-1), torch.ones(BATCH, LENGTH, dtype=torch.float64))


def test_gradients_pass_gradcheck():
    m = model()
    names, values = zip(*((n, p.detach().requires_grad_()) for n, p in m.named_parameters()), strict=True)

    def scores(*parameters):
        return torch.func.functional_call(m, dict(zip(names, parameters, strict=True)), (ids(2, 3),))

    assert torch.autograd.gradcheck(scores, values)


def test_training_raises_the_likelihood_and_repeats_with_its_seed():
    runs = []
    for _ in range(2):
        m = model(dropout=0.1)
        torch.rand(3)  # the global state must not matter
        untrained = perplexity(log_probabilities(m, VOCABULARY, TEXTS))
        seen = []
        history = train(m, VOCABULARY, TEXTS, TrainingConfig(epochs=60, batch_tokens=20), seen.append)
        assert perplexity(log_probabilities(m, VOCABULARY, TEXTS)) < untrained / 1.5
        assert seen == history
        assert not m.training
        runs.append(m.state_dict())
    assert all(torch.equal(runs[0][name], runs[1][name]) for name in runs[0])


def test_training_leaves_the_global_random_state_alone():
    m = model(dropout=0.5)
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    train(m, VOCABULARY, TEXTS, TrainingConfig())
    assert torch.equal(torch.rand(1), expected)


def test_every_epoch_reads_every_token_once_and_counts_them():
    history = train(model(), VOCABULARY, TEXTS, TrainingConfig(epochs=3, batch_tokens=10))
    assert history[-1].epochs == pytest.approx(3)
    assert history[-1].step == history[-1].steps == len(history)


def test_batches_hold_each_sequence_once_and_stay_small():
    import random

    encoded = [torch.zeros(n, dtype=torch.long) for n in (2, 3, 5, 7, 11, 13, 40)]
    batches = list(_epoch(encoded, 26, random.Random(0)))
    assert sorted(len(ids) for batch in batches for ids in batch) == [2, 3, 5, 7, 11, 13, 40]
    assert all(len(batch) == 1 or len(batch) * max(map(len, batch)) <= 30 for batch in batches)
