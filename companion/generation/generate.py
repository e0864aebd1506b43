"""Write on from prompts, a token at a time, until every text has ended."""

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from companion._validation import describe, require_axes, require_count, requires
from companion.attention.masks import require_attention_mask
from companion.generation.picking import Pick, greedy
from companion.generation.sessions import DecoderSession, EncoderDecoderSession
from companion.generation.stopping import Reason, StopWatch
from companion.models import GPT, T5, ModernDecoder


class Written(NamedTuple):
    """One step of a batch of texts, as :func:`stream` yields it.

    Parameters
    ----------
    tokens
        The new token of each text; ``pad_id`` where the text had ended before.
    is_new
        Whether the token belongs to its text.
    """

    tokens: Int[Tensor, " batch"]
    is_new: Bool[Tensor, " batch"]


@dataclass(frozen=True, kw_only=True)
class Generated:
    """What was written after each prompt.

    Parameters
    ----------
    ids
        The new tokens, with ``pad_id`` after the end of a text; the token or sequence that ended it is still there.
    lengths
        Number of new tokens of each text.
    reasons
        Why each text ended: "end" (an end token), "sequence" (a stop sequence) or "length" (``max_new_tokens``).
    """

    ids: Int[Tensor, "batch new"]
    lengths: Int[Tensor, " batch"]
    reasons: tuple[Reason, ...]

    def rows(self) -> list[list[int]]:
        """Return each text's new tokens, without padding, for a tokenizer to decode."""
        return [row[:n].tolist() for row, n in zip(self.ids, self.lengths.tolist(), strict=True)]


def _check_generate(
    model: Any,
    input_ids: Any,
    *,
    max_new_tokens: Any,
    attention_mask: Any = None,
    pick: Any = greedy,
    generator: Any = None,
    end_ids: Any = (),
    stop_sequences: Any = (),
    pad_id: Any = 0,
    on_step: Any = None,
) -> None:
    if not isinstance(model, (GPT, ModernDecoder, T5)):
        raise TypeError(f"model must be a GPT, a ModernDecoder or a T5, got {describe(model)}")
    if model.training and model.config.dropout > 0:
        raise ValueError("model is in training mode, so dropout would change what it writes; call model.eval() first")
    require_count("max_new_tokens", max_new_tokens)
    _check_prompts(model, input_ids, attention_mask, max_new_tokens)
    for name, value in {"pick": pick, "on_step": on_step}.items():
        if not callable(value) and not (name == "on_step" and value is None):
            raise TypeError(f"{name} must be a function, got {describe(value)}")
    if generator is not None and not isinstance(generator, torch.Generator):
        raise TypeError(f"generator must be a torch.Generator, got {describe(generator)}")
    _require_tokens(model, "end_ids", end_ids)
    if isinstance(stop_sequences, str) or not isinstance(stop_sequences, Sequence):
        raise TypeError(f"stop_sequences must be a list of lists of tokens, got {describe(stop_sequences)}")
    for i, sequence in enumerate(stop_sequences):
        _require_tokens(model, f"stop_sequences[{i}]", sequence)
        if not len(sequence):
            raise ValueError(f"stop_sequences[{i}] is empty, and would end every text at once; leave it out")
    _require_tokens(model, "pad_id", [pad_id])


def _check_prompts(model: GPT | ModernDecoder | T5, input_ids: Any, attention_mask: Any, max_new_tokens: int) -> None:
    if not isinstance(input_ids, Tensor) or input_ids.dtype not in (torch.int64, torch.int32):
        raise TypeError(f"input_ids must be a tensor of torch.int64 or int32 (batch pos), got {describe(input_ids)}")
    require_axes("input_ids", input_ids, "batch pos")
    if not len(input_ids):
        raise ValueError(f"input_ids must hold at least one prompt, got {describe(input_ids)}")
    tokens, longest = input_ids, input_ids.shape[1]
    if attention_mask is not None:
        require_attention_mask(attention_mask)
        if attention_mask.shape != input_ids.shape:
            raise ValueError(
                f"attention_mask must have input_ids' shape {tuple(input_ids.shape)}, got {describe(attention_mask)}"
            )
        lengths = attention_mask.bool().sum(1)
        if not lengths.all():
            empty = (lengths == 0).nonzero().flatten().tolist()
            raise ValueError(f"attention_mask must leave each prompt at least one token, got none in rows {empty}")
        tokens, longest = input_ids[attention_mask.bool()], int(lengths.max())
    low, high = tokens.aminmax()
    if low < 0 or high >= model.config.vocab_size:
        raise ValueError(
            f"input_ids must be at least 0 and below vocab_size={model.config.vocab_size}, "
            f"got values from {low} to {high}"
        )
    if not isinstance(model, T5) and longest + max_new_tokens > model.config.max_len:
        raise ValueError(
            f"the longest prompt has {longest} tokens and max_new_tokens={max_new_tokens} more make "
            f"{longest + max_new_tokens}, above the model's max_len={model.config.max_len}; "
            "ask for fewer, or shorten the prompt"
        )


def _require_tokens(model: GPT | ModernDecoder | T5, name: str, tokens: Any) -> None:
    if isinstance(tokens, str) or not isinstance(tokens, Sequence):
        raise TypeError(f"{name} must be a list of tokens, got {describe(tokens)}")
    for token in tokens:
        require_count(name if name == "pad_id" else f"each of {name}", token, minimum=0)
        if token >= model.config.vocab_size:
            raise ValueError(f"{name} must be below vocab_size={model.config.vocab_size}, got {token}")


@requires(_check_generate)
def generate(
    model: GPT | ModernDecoder | T5,
    input_ids: Int[Tensor, "batch pos"],
    *,
    max_new_tokens: int,
    attention_mask: Int[Tensor, "batch pos"] | Bool[Tensor, "batch pos"] | None = None,
    pick: Pick = greedy,
    generator: torch.Generator | None = None,
    end_ids: Sequence[int] = (),
    stop_sequences: Sequence[Sequence[int]] = (),
    pad_id: int = 0,
    on_step: Callable[[Written], object] | None = None,
) -> Generated:
    """Write on from each prompt, or with a T5 write in answer to it.

    Keys and values are kept in room taken once, and the weights are laid out for one token of each text at a time, so
    that a step does nothing but the arithmetic. Each text of a batch is what the model would write for it alone, as
    far as rounding goes; one that has ended changes nothing in the others.

    Parameters
    ----------
    model
        What scores the next token.
    input_ids
        The prompts; with a T5 the texts to read.
    max_new_tokens
        How much to write at most.
    attention_mask
        1 for a token and 0 for padding, on either side.
    pick
        How the next token follows from the scores: :func:`greedy`, what :func:`sampler` returns, or any function from
        (scores (batch vocab), generator) to tokens (batch).
    generator
        Source of random numbers for ``pick``.
    end_ids
        Tokens that end a text.
    stop_sequences
        Sequences of tokens that end a text; they count only in what is written, not in the prompt.
    pad_id
        What stands after the end of a text.
    on_step
        Called with each step as it is written, for instance to show it.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong type or out of range; if a prompt is empty, or too long for the model's max_len
        together with what is to be written; if the model is training with dropout, or its scores are not finite.
    """
    session, watch = _open(model, input_ids, attention_mask, max_new_tokens, end_ids, stop_sequences)
    steps = []
    for step in _write(session, watch, max_new_tokens, pick, generator, pad_id):
        steps.append(step)
        if on_step is not None:
            on_step(_own(step))
    ids = torch.stack([step.tokens for step in steps], dim=1)
    lengths = torch.stack([step.is_new for step in steps]).sum(0)
    return Generated(ids=ids.clone(), lengths=lengths.clone(), reasons=watch.reasons())


@requires(_check_generate)
def stream(
    model: GPT | ModernDecoder | T5,
    input_ids: Int[Tensor, "batch pos"],
    *,
    max_new_tokens: int,
    attention_mask: Int[Tensor, "batch pos"] | Bool[Tensor, "batch pos"] | None = None,
    pick: Pick = greedy,
    generator: torch.Generator | None = None,
    end_ids: Sequence[int] = (),
    stop_sequences: Sequence[Sequence[int]] = (),
    pad_id: int = 0,
) -> Iterator[Written]:
    """Yield each step as it is written; stop asking, and no more is computed.

    Parameters and errors are those of :func:`generate`.
    """
    session, watch = _open(model, input_ids, attention_mask, max_new_tokens, end_ids, stop_sequences)
    return map(_own, _write(session, watch, max_new_tokens, pick, generator, pad_id))


Session = DecoderSession | EncoderDecoderSession


@torch.inference_mode()
def _open(
    model: GPT | ModernDecoder | T5,
    input_ids: Tensor,
    attention_mask: Tensor | None,
    max_new_tokens: int,
    end_ids: Sequence[int],
    stop_sequences: Sequence[Sequence[int]],
) -> tuple[Session, StopWatch]:
    session = (
        EncoderDecoderSession(model, input_ids, attention_mask, max_new_tokens)
        if isinstance(model, T5)
        else DecoderSession(model, input_ids, attention_mask, max_new_tokens)
    )
    return session, StopWatch(len(input_ids), input_ids.device, end_ids, stop_sequences)


def _write(
    session: Session, watch: StopWatch, max_new_tokens: int, pick: Pick, generator: torch.Generator | None, pad_id: int
) -> Iterator[Written]:
    read, batch = session.first, session.batch
    written = torch.full((batch, max_new_tokens), pad_id, device=session.device)
    is_new = torch.ones(batch, dtype=torch.bool, device=session.device)
    for i in range(max_new_tokens):
        with torch.inference_mode():  # not around the yield, or the caller would be in it too
            logits = read()
            if i == 0:
                _require_finite(logits)
            tokens = _picked(pick(logits, generator), batch)
            if watch.is_watching:
                is_new = ~watch.stopped
                tokens = torch.where(is_new, tokens, pad_id)
            written[:, i] = tokens
            has_ended = watch.is_watching and watch.look(written[:, : i + 1])
            read = functools.partial(session.next, tokens)
        yield Written(tokens, is_new)
        if has_ended:
            return


def _require_finite(logits: Tensor) -> None:
    if not logits.isfinite().all():
        raise ValueError("the model's scores are not finite: its weights hold NaN or infinity, or overflow their dtype")


def _picked(tokens: Any, batch: int) -> Tensor:
    if not isinstance(tokens, Tensor) or tokens.dtype != torch.int64 or tokens.shape != (batch,):
        raise TypeError(f"pick must return a tensor of torch.int64 of shape ({batch},), got {describe(tokens)}")
    return tokens


def _own(step: Written) -> Written:
    """Copy a step out of inference mode, whose tensors autograd would refuse."""
    return Written(step.tokens.clone(), step.is_new.clone())
