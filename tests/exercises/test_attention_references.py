"""The attention lab's references are what torch computes elsewhere."""

import torch
import torch.nn.functional as F
from torch.nn.attention.bias import causal_lower_right

from companion.exercises import get


def test_the_causal_reference_is_torchs_lower_right_bias():
    generator = torch.Generator().manual_seed(0)
    query, key, value = (torch.randn(2, 3, n, 5, generator=generator, dtype=torch.float64) for n in (7, 11, 11))
    mask = get("causal_mask").reference(7, 11)
    torch.testing.assert_close(
        F.scaled_dot_product_attention(query, key, value, attn_mask=mask),
        F.scaled_dot_product_attention(query, key, value, attn_mask=causal_lower_right(7, 11)),
    )


def test_the_multi_head_reference_is_torchs_module():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, 7, 15, generator=generator)
    weights = [torch.randn(15, 15, generator=generator) for _ in range(4)]
    module = torch.nn.MultiheadAttention(15, 3, bias=False, batch_first=True)
    module.in_proj_weight.data = torch.cat(weights[:3], dim=1).T.contiguous()
    module.out_proj.weight.data = weights[3].T.contiguous()
    mask = torch.ones(7, 7, dtype=torch.bool).tril()
    expected = module(x, x, x, attn_mask=~mask, need_weights=False)[0].detach()
    torch.testing.assert_close(get("multi_head_attention").reference(x, *weights, 3, mask), expected)
