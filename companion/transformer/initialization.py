"""First weights: small enough that signals neither die nor explode on their way through many blocks."""

import math
from typing import Any

import torch
from torch import nn

from companion._validation import describe, require_finite, requires
from companion.attention import MultiHeadAttention
from companion.transformer.positions import T5RelativeBias

# What these produce is added to the residual stream.
RESIDUAL = ("attention.output.weight", "feed_forward.down.weight")


def require_generator(generator: Any) -> None:
    """Raise unless ``generator`` is a torch.Generator or None."""
    if generator is not None and not isinstance(generator, torch.Generator):
        raise TypeError(f"generator must be a torch.Generator, got {describe(generator)}")


def _check_normal(module: Any, std: Any = 0.02, *, residual_scale: Any = 1.0, generator: Any = None) -> None:
    if not isinstance(module, nn.Module):
        raise TypeError(f"module must be a torch.nn.Module, got {describe(module)}")
    for name, number in {"std": std, "residual_scale": residual_scale}.items():
        require_finite(name, number)
        if number <= 0:
            raise ValueError(f"{name} must be above 0, got {number}")
    require_generator(generator)


@requires(_check_normal)
def init_normal(
    module: nn.Module, std: float = 0.02, *, residual_scale: float = 1.0, generator: torch.Generator | None = None
) -> None:
    """Draw all weights anew: matrices normal, biases zero, the scales of normalisations one.

    Parameters
    ----------
    module
        What to initialise, in place.
    std
        Standard deviation of the matrices.
    residual_scale
        Factor on it for the projections whose results are added to the residual stream. GPT-2 takes
        1/√(2 n_layers), so that the sum of all of them keeps its size.
    generator
        Source of the numbers; torch's global one by default.

    Raises
    ------
    TypeError, ValueError
        If the arguments are not of these types, or a number is not above 0.

    References
    ----------
    Radford et al. (2019), Language Models are Unsupervised Multitask Learners, section 2.3. Devlin et al. (2019),
    BERT, whose released code draws all matrices alike.
    """
    for name, parameter in module.named_parameters():
        if name.endswith("bias"):
            nn.init.zeros_(parameter)
        elif parameter.dim() == 2:
            scale = residual_scale if name.endswith(RESIDUAL) else 1.0
            nn.init.normal_(parameter, 0.0, std * scale, generator=generator)
        else:
            nn.init.ones_(parameter)


def _check_fan_in(module: Any, *, generator: Any = None) -> None:
    _check_normal(module, generator=generator)


@requires(_check_fan_in)
def init_fan_in(module: nn.Module, *, generator: torch.Generator | None = None) -> None:
    """Draw all weights anew as T5 does: each linear layer with variance 1 / (number of features that enter it).

    Queries are smaller by √d_head besides, since T5 does not scale its scores. Embeddings are drawn with variance 1,
    the bias of relative positions with 1 / d_model.

    Parameters
    ----------
    module
        What to initialise, in place.
    generator
        Source of the numbers; torch's global one by default.

    Raises
    ------
    TypeError
        If the arguments are not of these types.

    References
    ----------
    Raffel et al. (2020), Exploring the Limits of Transfer Learning with a Unified Text-to-Text Transformer, whose
    released code draws them so.
    """
    attentions = [part for part in module.modules() if isinstance(part, MultiHeadAttention)]
    narrow = {id(attention.query): attention.d_head for attention in attentions}
    for part in module.modules():
        if isinstance(part, nn.Linear):
            std = 1 / math.sqrt(part.in_features * narrow.get(id(part), 1))
            nn.init.normal_(part.weight, 0.0, std, generator=generator)
            if part.bias is not None:
                nn.init.zeros_(part.bias)
        elif isinstance(part, nn.Embedding):
            nn.init.normal_(part.weight, 0.0, 1.0, generator=generator)
        elif isinstance(part, T5RelativeBias):
            d_model = attentions[0].query.in_features if attentions else part.weight.shape[1]
            nn.init.normal_(part.weight, 0.0, 1 / math.sqrt(d_model), generator=generator)
        else:
            for name, parameter in part.named_parameters(recurse=False):
                nn.init.zeros_(parameter) if name == "bias" else nn.init.ones_(parameter)
