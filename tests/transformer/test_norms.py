"""Both norms are their equations, written out in the package, and torch's kernels in values and gradients."""

import pytest
import torch
from torch import nn

from companion.transformer import LayerNorm, RMSNorm, layer_norm, rms_norm
from tests.attention.compare import PRECISIONS, TOLERANCE, assert_agree, heads, value_and_gradients

SHAPE, D_MODEL, EPS = (3, 5, 11), 11, 1e-3


def learned(seed):
    return heads(D_MODEL, seed=seed)


def with_weights(module, weight, bias=None):
    """The module as a function of its weights."""
    weights = {"weight": weight} | ({} if bias is None else {"bias": bias})
    return lambda x, *values: torch.func.functional_call(module, dict(zip(weights, values, strict=True)), x)


@pytest.mark.parametrize("dtype", PRECISIONS, ids=str)
@pytest.mark.parametrize("bias", [True, False])
def test_layer_norm_is_torchs_and_its_equation(dtype, bias):
    tensors = [t.to(dtype) for t in (heads(*SHAPE) + 2, learned(1), *([learned(2)] if bias else []))]
    ours = value_and_gradients(with_weights(LayerNorm(D_MODEL, eps=EPS, bias=bias), *tensors[1:]), *tensors)
    theirs = value_and_gradients(with_weights(nn.LayerNorm(D_MODEL, eps=EPS, bias=bias), *tensors[1:]), *tensors)
    equation = value_and_gradients(lambda *t: layer_norm(*t, eps=EPS), *tensors)
    assert_agree(ours, theirs, TOLERANCE[dtype])
    assert_agree(equation, theirs, TOLERANCE[dtype])


@pytest.mark.parametrize("dtype", PRECISIONS, ids=str)
def test_rms_norm_is_torchs_and_its_equation(dtype):
    tensors = [t.to(dtype) for t in (heads(*SHAPE) + 2, learned(1))]
    ours = value_and_gradients(with_weights(RMSNorm(D_MODEL, eps=EPS), tensors[1]), *tensors)
    theirs = value_and_gradients(with_weights(nn.RMSNorm(D_MODEL, eps=EPS), tensors[1]), *tensors)
    equation = value_and_gradients(lambda *t: rms_norm(*t, eps=EPS), *tensors)
    assert_agree(ours, theirs, TOLERANCE[dtype])
    assert_agree(equation, theirs, TOLERANCE[dtype])


@pytest.mark.parametrize("equation", [layer_norm, rms_norm])
def test_the_equations_pass_gradcheck(equation):
    tensors = [t.requires_grad_() for t in (heads(2, 5), heads(5, seed=1))]
    assert torch.autograd.gradcheck(lambda *t: equation(*t, eps=EPS), tensors)


def test_layer_norm_forgets_mean_and_size_and_rms_norm_only_the_size():
    x, one = heads(*SHAPE), torch.ones(D_MODEL).double()
    tiny = 1e-30  # so that nothing but rounding tells them apart
    assert_agree([layer_norm(3 * x + 7, one, eps=tiny)], [layer_norm(x, one, eps=tiny)], 1e-10)
    assert_agree([rms_norm(3 * x, one, eps=tiny)], [rms_norm(x, one, eps=tiny)], 1e-10)
    assert not torch.allclose(rms_norm(x + 7, one), rms_norm(x, one))


def test_a_vector_without_mean_is_the_same_to_both():
    x, one = heads(*SHAPE), torch.ones(D_MODEL).double()
    x = x - x.mean(-1, keepdim=True)
    assert_agree([layer_norm(x, one, eps=EPS)], [rms_norm(x, one, eps=EPS)], 1e-10)


@pytest.mark.parametrize("norm", [LayerNorm, RMSNorm])
def test_equal_features_make_no_infinity(norm):
    x = torch.zeros(2, D_MODEL, requires_grad=True)
    norm(D_MODEL)(x).sum().backward()
    assert x.grad.isfinite().all()


@pytest.mark.parametrize("norm", [LayerNorm, RMSNorm])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_half_precision_is_rounded_once(norm, dtype):
    x = 100 * heads(*SHAPE).to(dtype)
    exact = norm(D_MODEL).double()(x.double())
    assert_agree([norm(D_MODEL).to(dtype)(x).double()], [exact], 2 * torch.finfo(dtype).eps)


X, W = heads(*SHAPE), learned(1)
CASES = {
    "list": (lambda: layer_norm([1.0], W), TypeError, "x must be a floating point tensor"),
    "integers": (lambda: rms_norm(X.long(), W), TypeError, "x must be floating point"),
    "weight": (lambda: rms_norm(X, W[1:]), ValueError, r"weight must have x's 11 features, got.*\(10,\)"),
    "weight rank": (lambda: layer_norm(X, W[None]), ValueError, "weight must have exactly 1 axes"),
    "bias": (lambda: layer_norm(X, W, W[1:]), ValueError, "bias must have x's 11 features"),
    "eps": (lambda: layer_norm(X, W, eps=0.0), ValueError, "eps must be above 0, got 0.0"),
    "eps text": (lambda: rms_norm(X, W, eps="1e-6"), TypeError, "eps must be a number, got '1e-6'"),
    "size": (lambda: LayerNorm(0), ValueError, "d_model must be at least 1, got 0"),
    "rms size": (lambda: RMSNorm(1.5), TypeError, "d_model must be an integer, got 1.5"),
    "rms eps": (lambda: RMSNorm(3, eps=-1.0), ValueError, "eps must be above 0, got -1.0"),
    "features": (lambda: LayerNorm(3)(torch.ones(2, 5)), ValueError, r"x must have 3 features.*\(2, 5\)"),
    "dtype": (lambda: RMSNorm(11)(X), TypeError, "x must have this module's dtype torch.float32"),
}


@pytest.mark.parametrize(("call", "error", "message"), CASES.values(), ids=CASES.keys())
def test_wrong_argument_is_named(call, error, message):
    with pytest.raises(error, match=message) as caught:
        call()
    assert type(caught.value) is error
