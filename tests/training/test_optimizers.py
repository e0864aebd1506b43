"""The written-out optimizers are torch's, over many steps in float64; Muon's directions are those of an SVD."""

import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from companion.models import BERT, GPT, T5, BERTConfig, GPTConfig, ModernDecoder, ModernDecoderConfig, T5Config
from companion.training import SGD, AdamW, Mode, Muon, TrainerConfig, make_optimizer, orthogonalize
from companion.training.optimizers.choice import hidden_matrices
from companion.training.optimizers.muon import COEFFICIENTS

STEPS = 120


def parameters(*shapes, dtype=torch.float64):
    generator = torch.Generator().manual_seed(0)
    return [nn.Parameter(torch.randn(shape, generator=generator, dtype=dtype)) for shape in shapes]


def run(optimizer, trained, steps=STEPS, first=0):
    """Descend a crooked valley whose slope changes at every step; the second parameter now and then has none."""
    for step in range(first, first + steps):
        optimizer.zero_grad(set_to_none=True)
        generator = torch.Generator().manual_seed(step)
        for i, parameter in enumerate(trained):
            noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64).to(parameter.dtype)
            if i != 1 or step % 3:
                parameter.grad = parameter.detach() ** 3 / 10 + noise
        optimizer.step()
    return [parameter.detach().clone() for parameter in trained]


SHAPES = [(5, 3), (7,), (2, 3, 5), ()]


def assert_same(ours, theirs, **options):
    mine, others = parameters(*SHAPES), parameters(*SHAPES)
    results = run(ours(mine, **options), mine), run(theirs(others, **options), others)
    for result, expected in zip(*results, strict=True):
        torch.testing.assert_close(result, expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("weight_decay", [0.0, 0.3])
@pytest.mark.parametrize("betas", [(0.9, 0.999), (0.0, 0.5), (0.7, 0.95)])
def test_adamw_is_torchs(betas, weight_decay):
    assert_same(AdamW, torch.optim.AdamW, lr=0.03, betas=betas, eps=1e-6, weight_decay=weight_decay)


@pytest.mark.parametrize(("momentum", "nesterov"), [(0.0, False), (0.9, False), (0.9, True)])
@pytest.mark.parametrize("weight_decay", [0.0, 0.3])
def test_sgd_is_torchs(momentum, nesterov, weight_decay):
    assert_same(SGD, torch.optim.SGD, lr=0.03, momentum=momentum, nesterov=nesterov, weight_decay=weight_decay)


@pytest.mark.parametrize(("ours", "theirs"), [(AdamW, torch.optim.AdamW), (SGD, torch.optim.SGD)])
def test_groups_have_numbers_of_their_own(ours, theirs):
    def grouped(kind):
        trained = parameters(*SHAPES)
        groups = [{"params": trained[:2], "lr": 0.1}, {"params": trained[2:], "weight_decay": 0.5}]
        return run(kind(groups, lr=0.01), trained, steps=20)

    for result, expected in zip(grouped(ours), grouped(theirs), strict=True):
        torch.testing.assert_close(result, expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(("first", "second"), [(AdamW, torch.optim.AdamW), (torch.optim.AdamW, AdamW)])
def test_either_adamw_goes_on_where_the_other_stopped(first, second):
    trained = parameters(*SHAPES)
    expected = run(torch.optim.AdamW(trained, lr=0.03), trained, steps=40)
    trained = parameters(*SHAPES)
    before = first(trained, lr=0.03)
    run(before, trained, steps=17)
    after = second(trained, lr=0.03)
    state = before.state_dict()["state"]
    after.load_state_dict({"state": state, "param_groups": after.state_dict()["param_groups"]})
    for result, wanted in zip(run(after, trained, steps=23, first=17), expected, strict=True):
        torch.testing.assert_close(result, wanted, rtol=1e-10, atol=1e-12)


def test_adamw_against_the_first_step_by_hand():
    """At the first step the mean and the root of the mean square are the gradient and its size: a step of lr."""
    (parameter,) = parameters((4,))
    before = parameter.detach().clone()
    parameter.grad = torch.tensor([3.0, -0.2, 1e-3, -50.0], dtype=torch.float64)
    AdamW([parameter], lr=0.1, weight_decay=0.5, eps=0.0).step()
    expected = before * (1 - 0.05) - 0.1 * parameter.grad.sign()
    torch.testing.assert_close(parameter.detach(), expected, rtol=1e-12, atol=0)


@pytest.mark.skipif(not hasattr(torch.optim, "Muon"), reason="torch's Muon came with 2.9")
@pytest.mark.parametrize("nesterov", [False, True])
def test_muon_is_torchs(nesterov):
    shapes = [(5, 3), (3, 7), (4, 4)]
    mine, others = (parameters(*shapes, dtype=torch.float32) for _ in range(2))
    options = {"lr": 0.03, "weight_decay": 0.3, "momentum": 0.9, "nesterov": nesterov}
    ours = run(Muon(mine, **options, dtype=torch.bfloat16), mine)
    theirs = run(torch.optim.Muon(others, **options, adjust_lr_fn="match_rms_adamw"), others)
    for result, expected in zip(ours, theirs, strict=True):
        # torch rounds to bfloat16 in another order, and small directions are made large.
        assert (result - expected).norm() < 0.02 * expected.norm()


def by_svd(matrix, rounds=5):
    """Apply the polynomial to the singular values themselves."""
    u, s, vt = torch.linalg.svd(matrix, full_matrices=False)
    a, b, c = COEFFICIENTS
    s = s / matrix.norm()
    for _ in range(rounds):
        s = a * s + b * s**3 + c * s**5
    return u @ torch.diag(s) @ vt


@given(rows=st.integers(1, 9), columns=st.integers(1, 9), seed=st.integers(0, 99), rounds=st.integers(1, 6))
def test_orthogonalize_changes_the_singular_values_only(rows, columns, seed, rounds):
    matrix = torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    torch.testing.assert_close(orthogonalize(matrix, rounds=rounds), by_svd(matrix, rounds), rtol=1e-8, atol=1e-10)


@given(seed=st.integers(0, 99), scale=st.floats(1e-3, 1e3))
def test_orthogonalize_brings_every_singular_value_near_one(seed, scale):
    matrix = torch.randn(5, 11, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * scale
    values = torch.linalg.svdvals(matrix)
    result = torch.linalg.svdvals(orthogonalize(matrix))
    assert result[values > 0.005 * matrix.norm()].min() > 0.68
    assert result.max() < 1.21


def test_muon_over_many_steps_is_its_definition():
    trained, expected = parameters((5, 3), (4, 7)), parameters((5, 3), (4, 7))
    run(Muon(trained, lr=0.03, momentum=0.8, weight_decay=0.2), trained)
    means = [torch.zeros_like(parameter) for parameter in expected]

    class Definition(torch.optim.SGD):
        @torch.no_grad()
        def step(self):
            for parameter, mean in zip(expected, means, strict=True):
                if parameter.grad is not None:
                    mean.copy_(0.8 * mean + 0.2 * parameter.grad)
                    direction = by_svd(0.8 * mean + 0.2 * parameter.grad)
                    length = 0.03 * 0.2 * max(parameter.shape) ** 0.5
                    parameter.copy_(parameter * (1 - 0.03 * 0.2) - length * direction)

    run(Definition(expected, lr=1.0), expected)
    for result, wanted in zip(trained, expected, strict=True):
        torch.testing.assert_close(result, wanted, rtol=1e-7, atol=1e-9)


def test_muon_leaves_the_others_to_adamw():
    ours, theirs = parameters((5, 3), (7,), (2, 3)), parameters((5, 3), (7,), (2, 3))
    run(Muon(ours[:1], ours[1:], lr=0.03, weight_decay=0.3, betas=(0.8, 0.9)), ours)
    run(torch.optim.AdamW(theirs, lr=0.03, weight_decay=0.3, betas=(0.8, 0.9)), theirs)
    for result, expected in zip(ours[1:], theirs[1:], strict=True):
        torch.testing.assert_close(result, expected, rtol=1e-10, atol=1e-12)


MODELS = {
    "gpt": GPT(GPTConfig(vocab_size=41, max_len=11, d_model=12, n_heads=3, n_layers=2)),
    "bert": BERT(BERTConfig(vocab_size=41, max_len=11, d_model=12, n_heads=3, n_layers=2)),
    "t5": T5(T5Config(vocab_size=41, d_model=12, n_heads=3, n_layers=2)),
    "decoder": ModernDecoder(
        ModernDecoderConfig(vocab_size=41, max_len=11, d_model=12, n_heads=3, n_kv_heads=1, n_layers=2)
    ),
}


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS.keys())
def test_muon_takes_the_matrices_of_the_blocks(model):
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    found = {names[id(matrix)] for matrix in hidden_matrices(model)}
    in_blocks = {
        name
        for name, parameter in model.named_parameters()
        if ".blocks." in name and parameter.dim() == 2 and "bias" not in name
    }
    assert in_blocks <= found
    assert not any("embedding" in name or name == "lm_head.weight" for name in found)
    optimizer = make_optimizer(model, TrainerConfig(steps=1, optimizer="muon", weight_decay=0.3))
    held = list(itertools.chain.from_iterable(group["params"] for group in optimizer.param_groups))
    assert len(held) == len({id(p) for p in held}) == len(list(model.parameters()))
    for group in optimizer.param_groups:
        assert group["weight_decay"] == (0.3 if group["params"][0].dim() == 2 else 0.0)


@pytest.mark.parametrize("optimizer", ["adamw", "sgd", "muon"])
@pytest.mark.parametrize("mode", [Mode(), Mode(is_fused=True)])
def test_parameter_groups(optimizer, mode):
    model = nn.Sequential(nn.Linear(3, 5), nn.Linear(5, 2), nn.Linear(2, 2))
    groups = [{"params": model[0].parameters(), "lr_scale": 0.5}, {"params": [model[1].weight], "weight_decay": 0.0}]
    made = make_optimizer(model, TrainerConfig(steps=1, optimizer=optimizer, lr=0.2, mode=mode), groups)
    rates = {id(p): (group["lr"], group["weight_decay"]) for group in made.param_groups for p in group["params"]}
    assert rates == {
        id(model[0].weight): (0.1, 0.1),
        id(model[0].bias): (0.1, 0.0),
        id(model[1].weight): (0.2, 0.0),
    }
    assert [parameter.requires_grad for parameter in model.parameters()] == [True, True, True, False, False, False]


WEIGHT = nn.Parameter(torch.ones(2, 3))
VECTOR = nn.Parameter(torch.ones(3))


def choose(*groups):
    return make_optimizer(nn.Linear(3, 2), TrainerConfig(steps=1), list(groups))


CASES = {
    "lr": (lambda: AdamW([WEIGHT], lr=-1.0), ValueError, "lr must be at least 0, got -1.0"),
    "nan": (lambda: SGD([WEIGHT], lr=float("nan")), ValueError, "lr must be finite, got nan"),
    "eps": (lambda: AdamW([WEIGHT], lr=1.0, eps="small"), TypeError, "eps must be a number, got 'small'"),
    "beta": (lambda: AdamW([WEIGHT], lr=1.0, betas=(0.9, 1.0)), ValueError, r"betas\[1\] must be .*below 1, got 1.0"),
    "betas": (lambda: Muon([WEIGHT], lr=1.0, betas=[0.9, 0.99]), TypeError, "betas must be two numbers"),
    "decay": (lambda: SGD([WEIGHT], lr=1.0, weight_decay=-0.1), ValueError, "weight_decay must be at least 0"),
    "momentum": (lambda: SGD([WEIGHT], lr=1.0, momentum=1.0), ValueError, "momentum must be .*below 1, got 1.0"),
    "ahead": (lambda: SGD([WEIGHT], lr=1.0, nesterov=True), ValueError, "got momentum=0; give one"),
    "switch": (lambda: Muon([WEIGHT], lr=1.0, nesterov=1), TypeError, "nesterov must be True or False, got 1"),
    "nothing": (lambda: AdamW([], lr=1.0), ValueError, "parameters must hold something to train"),
    "one": (lambda: AdamW(WEIGHT, lr=1.0), TypeError, "parameters must be parameters in a list"),
    "numbers": (lambda: SGD([1.0], lr=1.0), TypeError, "torch.nn.Parameter only, got 1.0"),
    "no list": (lambda: SGD(3, lr=1.0), TypeError, "parameters must be parameters or groups of them, got 3"),
    "vector": (lambda: Muon([VECTOR], lr=1.0), ValueError, r"two axes each, got .*\(3,\).*add to others"),
    "rounds": (lambda: Muon([WEIGHT], lr=1.0, rounds=0), ValueError, "rounds must be at least 1, got 0"),
    "dtype": (lambda: Muon([WEIGHT], lr=1.0, dtype=torch.int64), TypeError, "dtype must be a floating point"),
    "axes": (lambda: orthogonalize(torch.ones(3)), ValueError, "exactly 2 axes"),
    "integers": (lambda: orthogonalize(torch.ones(3, 3).long()), TypeError, "must be floating point"),
    "a group": (lambda: choose(WEIGHT), TypeError, r"parameter_groups\[0\] must be a dict of params"),
    "a key": (lambda: choose({"params": [WEIGHT], "lr": 1.0}), TypeError, "dict of params, lr_scale and weight_decay"),
    "a scale": (lambda: choose({"params": [WEIGHT], "lr_scale": -1.0}), ValueError, r"\['lr_scale'\] must be at least"),
    "foreign": (lambda: choose({"params": [WEIGHT]}), ValueError, "parameters of the model only"),
    "none": (lambda: choose({"params": []}), ValueError, "model must hold something to train"),
}


@pytest.mark.parametrize(("call", "error", "message"), CASES.values(), ids=CASES.keys())
def test_bad_input(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_a_parameter_in_two_groups():
    model = nn.Linear(3, 2)
    groups = [{"params": [model.weight]}, {"params": [model.weight]}]
    with pytest.raises(ValueError, match="every parameter at most once"):
        make_optimizer(model, TrainerConfig(steps=1), groups)


@pytest.mark.parametrize("kind", [AdamW, SGD, Muon])
def test_a_closure_is_called_with_gradients(kind):
    (parameter,) = parameters((2, 3))
    optimizer = kind([parameter], lr=0.1)

    def closure():
        optimizer.zero_grad()
        value = (parameter**2).sum()
        value.backward()
        return value.item()

    before = (parameter.detach() ** 2).sum().item()
    assert optimizer.step(closure) == before
    assert (parameter.detach() ** 2).sum().item() < before
