"""What a model needs to write: the prompt is read once, then each step takes one token of each text."""

from collections.abc import Callable
from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor

from companion.attention import Rotation
from companion.generation.linear import multiply_by
from companion.generation.one_token import Clock, Layer, make_step, turner
from companion.models import GPT, T5, ModernDecoder
from companion.transformer import count_positions


def align_right(input_ids: Tensor, attention_mask: Tensor | None) -> tuple[Tensor, Tensor | None]:
    """Move each prompt to the right end of its row, so that all texts go on at the same place.

    Returns the tokens, with 0 for padding, and a boolean mask, or None where there is no padding.
    """
    if attention_mask is None or bool(attention_mask.all()):
        return input_ids, None
    mask, order = attention_mask.bool().sort(dim=1, stable=True)
    width = int(mask.sum(1).max())
    ids, mask = input_ids.gather(1, order)[:, -width:], mask[:, -width:]
    return ids.masked_fill(~mask, 0), None if bool(mask.all()) else mask


def forbid(mask: Tensor, n_heads: int, n_kv_heads: int, dtype: torch.dtype) -> Tensor:
    """Turn a mask (batch key) into what is added to the scores of one query (batch * kv_head, group, key)."""
    bias = torch.zeros(mask.shape, dtype=dtype, device=mask.device).masked_fill(~mask, -torch.inf)
    return _for_heads(bias[:, None, None], len(mask), n_heads, n_kv_heads)


def _for_heads(bias: Tensor, batch: int, n_heads: int, n_kv_heads: int) -> Tensor:
    """Lay a bias (batch | 1, head | 1, 1, key) out as the scores of one query are: (batch * kv_head, group, key)."""
    n_key = bias.shape[-1]
    return bias.expand(batch, n_heads, 1, n_key).reshape(batch * n_kv_heads, n_heads // n_kv_heads, n_key)


class DecoderSession:
    """Continue prompts with a GPT or a modern decoder.

    Parameters
    ----------
    model
        Its weights are read when the session begins.
    input_ids, attention_mask
        The prompts, padded on either side.
    max_new_tokens
        How much room to take for what is written.
    """

    def __init__(
        self, model: GPT | ModernDecoder, input_ids: Tensor, attention_mask: Tensor | None, max_new_tokens: int
    ) -> None:
        self.model = model
        self.ids, self.mask = align_right(input_ids, attention_mask)
        self.max_new_tokens = max_new_tokens
        self.batch, width = self.ids.shape
        self.caches = model.new_caches(self.batch, width + max_new_tokens)
        seen = torch.ones_like(self.ids) if self.mask is None else self.mask
        self.positions = count_positions(seen)
        self.clock = Clock(slot=width)
        self.device = self.ids.device

    def first(self) -> Tensor:
        """Read the prompts; return the scores of the token after them."""
        rotation = {"rotation": self.model.rotary(self.positions)} if isinstance(self.model, ModernDecoder) else {}
        x = self.model.decoder(self._embed(self.ids, self.positions), self.mask, caches=self.caches, **rotation)
        self.positions = self.positions[:, -1]
        return F.linear(x[:, -1], self._head_weight())

    def next(self, tokens: Tensor) -> Tensor:
        """Take the tokens (batch) that follow; return the scores of those after them."""
        step, head = self._program
        self.positions = self.positions + 1
        if self._turns is not None:
            self.clock.turn = self._turns(self.positions)
        if self._forbidden is not None:
            self.clock.bias = self._forbidden[:, :, : self.clock.slot + 1]
        logits = head(step(self._embed(tokens, self.positions)))
        self.clock.slot += 1
        return logits

    def _embed(self, ids: Tensor, positions: Tensor) -> Tensor:
        x = F.embedding(ids, self.model.token_embedding.weight)
        if isinstance(self.model, GPT):
            return x + F.embedding(positions, self.model.position_embedding.weight)
        return x

    def _head_weight(self) -> Tensor:
        head = getattr(self.model, "head", None)
        return self.model.token_embedding.weight if head is None else head.weight

    @cached_property
    def _program(self) -> tuple[Layer, Layer]:
        step = make_step(self.model.decoder, self.caches, self.clock, self.max_new_tokens)
        return step, multiply_by(self._head_weight(), None, self.batch, self.max_new_tokens)

    @cached_property
    def _turns(self) -> Callable[[Tensor], Layer] | None:
        """From positions (batch) to what turns the heads to them; angles are computed once for all steps."""
        if not isinstance(self.model, ModernDecoder):
            return None
        dtype = self.model.token_embedding.weight.dtype
        places = torch.arange(self.caches[0].max_len, device=self.ids.device)
        table = self.model.rotary(places[None])
        return lambda positions: turner(Rotation(table.cos[0, positions], table.sin[0, positions]), dtype)

    @cached_property
    def _forbidden(self) -> Tensor | None:
        if self.mask is None:
            return None
        attention = self.model.decoder.first_block.attention
        mask = F.pad(self.mask, (0, self.max_new_tokens), value=True)
        return forbid(mask, attention.n_heads, attention.n_kv_heads, self.caches[0].keys.dtype)


class EncoderDecoderSession:
    """Write with a T5: the text is read, and what the decoder looks at worked out, once.

    Parameters
    ----------
    model
        Its weights are read when the session begins.
    input_ids, attention_mask
        The texts to read, padded on either side.
    max_new_tokens
        How much room to take for what is written.
    """

    def __init__(self, model: T5, input_ids: Tensor, attention_mask: Tensor | None, max_new_tokens: int) -> None:
        self.model = model
        self.ids, self.mask = input_ids, attention_mask
        self.batch, self.device = len(input_ids), input_ids.device
        self.clock = Clock(slot=0)
        self.max_new_tokens = max_new_tokens

    def first(self) -> Tensor:
        """Read the texts; return the scores of the first token to write."""
        return self.next(self.ids.new_full((self.batch,), self.model.config.start_id))

    def next(self, tokens: Tensor) -> Tensor:
        """Take the tokens (batch) that follow; return the scores of those after them."""
        step, head = self._program
        self.clock.bias = self._bias[:, :, self.max_new_tokens - self.clock.slot - 1 :]
        logits = head(step(F.embedding(tokens, self.model.token_embedding.weight)))
        self.clock.slot += 1
        return logits

    @cached_property
    def _bias(self) -> Tensor:
        """The bias of the last of all queries; an earlier one's is the end of it."""
        bias = self.model.decoder_bias(1, self.max_new_tokens)
        n_heads = self.model.config.n_heads
        return _for_heads(bias, self.batch, n_heads, n_heads)

    @cached_property
    def _program(self) -> tuple[Layer, Layer]:
        model, batch, times = self.model, self.batch, self.max_new_tokens
        encoded = model.encode(self.ids, attention_mask=self.mask)
        n_heads = model.config.n_heads
        step = make_step(
            model.decoder,
            model.new_caches(batch, times),
            self.clock,
            times,
            model.cross_keys_values(encoded),
            None if self.mask is None else forbid(self.mask.bool(), n_heads, n_heads, encoded.dtype),
        )
        if model.head is not None:
            return step, multiply_by(model.head.weight, None, batch, times)
        product, scale = multiply_by(model.token_embedding.weight, None, batch, times), model.config.d_model**-0.5
        return step, lambda x: product(x * scale)
