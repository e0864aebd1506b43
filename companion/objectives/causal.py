"""The causal objective: at each token, say the next."""

from typing import Any

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from companion._validation import describe, requires
from companion.objectives._checks import IGNORED, require_ids, require_shape_of


def _check_causal(input_ids: Any, *, attention_mask: Any = None, document_ids: Any = None) -> None:
    require_ids("input_ids", input_ids, "batch pos")
    if attention_mask is not None:
        if not isinstance(attention_mask, Tensor) or attention_mask.is_floating_point():
            raise TypeError(
                "attention_mask must be an integer or boolean tensor, 1 for a token and 0 for padding, "
                f"got {describe(attention_mask)}"
            )
        require_shape_of("attention_mask", attention_mask, input_ids)
    if document_ids is not None:
        require_ids("document_ids", document_ids, "batch pos")
        require_shape_of("document_ids", document_ids, input_ids)


@requires(_check_causal)
def causal_labels(
    input_ids: Int[Tensor, "batch pos"],
    *,
    attention_mask: Int[Tensor, "batch pos"] | Bool[Tensor, "batch pos"] | None = None,
    document_ids: Int[Tensor, "batch pos"] | None = None,
) -> Int[Tensor, "batch pos"]:
    """Label each position with the token after it, so that the scores there are those of its label.

    The last position of a row has no label, nor has one whose neighbour is padding or begins another document.

    Parameters
    ----------
    input_ids
        The texts.
    attention_mask
        1 for a token and 0 for padding, on either side.
    document_ids
        For rows packed with several documents: neighbours with the same number are of one document, and a number
        below 0 is padding.

    Raises
    ------
    TypeError, ValueError
        If an argument is not of integers, or of another shape than the tokens.

    References
    ----------
    Radford et al. (2018), Improving Language Understanding by Generative Pre-Training, equation 1.
    """
    has_next = torch.ones_like(input_ids[:, 1:], dtype=torch.bool)
    if attention_mask is not None:
        has_next = has_next & attention_mask[:, 1:].bool() & attention_mask[:, :-1].bool()
    if document_ids is not None:
        has_next = has_next & (document_ids[:, 1:] == document_ids[:, :-1]) & (document_ids[:, 1:] >= 0)
    last = torch.full_like(input_ids[:, :1], IGNORED)
    return torch.cat([input_ids[:, 1:].masked_fill(~has_next, IGNORED), last], dim=1)
