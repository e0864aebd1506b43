"""The training lab's references are what torch and transformers compute."""

import math

import pytest
import torch
from torch import nn
from transformers import get_cosine_schedule_with_warmup

from companion.exercises import get
from companion.training import AdamW, warmup_cosine
from companion.training import clip_gradients as companions_clip

GENERATOR = torch.Generator().manual_seed(0)


def draw(*shape):
    return torch.randn(shape, generator=GENERATOR, dtype=torch.float64)


def test_the_schedule_is_the_companions_and_that_of_transformers_where_these_agree():
    reference = get("learning_rate").reference
    ours = warmup_cosine(steps=90, warmup=11, floor=0.05)
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    theirs = get_cosine_schedule_with_warmup(optimizer, 11, 90).lr_lambdas[0]
    for step in range(91):
        assert reference(step, 90, 11, 1.0, 0.05) == pytest.approx(ours(step))
        if step >= 11:  # transformers' warm-up begins with a step of nothing
            assert reference(step, 90, 11, 1.0, 0.0) == pytest.approx(theirs(step), abs=1e-12)


def test_clipping_is_torchs():
    gradients = [draw(3, 5), 7 * draw(5), draw(2, 3)]
    for max_norm in (0.5, 1000.0):
        parameters = [nn.Parameter(torch.zeros_like(gradient)) for gradient in gradients]
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.grad = gradient.clone()
        nn.utils.clip_grad_norm_(parameters, max_norm)
        for found, parameter in zip(get("clip_gradients").reference(gradients, max_norm), parameters, strict=True):
            torch.testing.assert_close(found, parameter.grad, rtol=1e-5, atol=1e-8)
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.grad = gradient.clone()
        companions_clip(parameters, max_norm)
        for found, parameter in zip(get("clip_gradients").reference(gradients, max_norm), parameters, strict=True):
            torch.testing.assert_close(found, parameter.grad, rtol=1e-5, atol=1e-8)


def test_the_combined_gradient_is_that_of_the_whole_batch():
    layer = nn.Linear(4, 3).double()
    parts = [(draw(n, 4), draw(n, 3)) for n in (1, 7, 2)]

    def gradient(x, y):
        layer.zero_grad()
        nn.functional.mse_loss(layer(x), y).backward()
        return layer.weight.grad.clone()

    found = get("combine_gradients").reference(torch.stack([gradient(x, y) for x, y in parts]), [1, 7, 2])
    whole = gradient(torch.cat([x for x, _ in parts]), torch.cat([y for _, y in parts]))
    torch.testing.assert_close(found, whole)


def test_a_step_of_adamw_is_the_companions():
    weight, gradient = draw(3, 4), draw(3, 4)
    parameter = nn.Parameter(weight.clone())
    parameter.grad = gradient
    AdamW([parameter], lr=0.1, betas=(0.8, 0.9), eps=1e-8, weight_decay=0.3).step()
    zeros = torch.zeros_like(weight)
    found, *_ = get("adamw_step").reference(weight, gradient, zeros, zeros, 1, 0.1, (0.8, 0.9), 1e-8, 0.3)
    torch.testing.assert_close(found, parameter.detach())


def test_a_scaled_step_is_that_of_torchs_own_scaler():
    """torch's scaler works on a CPU too; its gradients are float32 here, so they are made of float16 numbers."""
    for bad in (False, True):
        gradient = draw(3, 4).half()
        if bad:
            gradient[1, 2] = math.inf
        master = draw(3, 4).float()
        parameter = nn.Parameter(master.clone())
        scaler = torch.amp.GradScaler("cpu", init_scale=64.0)
        optimizer = torch.optim.SGD([parameter], lr=0.1)
        scaler.scale(parameter.sum()).backward()
        parameter.grad = gradient.float()
        scaler.step(optimizer)
        scaler.update()
        found, scale = get("scaled_step").reference(master, gradient, 64.0, 0.1)
        torch.testing.assert_close(found, parameter.detach())
        assert scale == scaler.get_scale()


def test_packed_labels_are_those_of_the_companions_objective():
    from companion.objectives import causal_labels

    documents = [torch.randint(50, (n,), generator=GENERATOR).tolist() for n in (3, 1, 9, 4, 6)]
    input_ids, document_ids, labels = get("pack_documents").reference(documents, 7)
    assert torch.equal(labels, causal_labels(input_ids, document_ids=document_ids))
    assert input_ids.flatten().tolist() == [token for document in documents for token in document][:21]
