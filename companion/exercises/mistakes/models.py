"""The mistakes that students make in the models lab, each computed from the same inputs as the answer.

An answer equal to one of these on inputs where it is wrong has made that mistake. The phrase names it and stops short
of the answer. The first match wins, so the more specific mistake stands first.
"""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from companion.exercises.spec import WrongWay

# --- family_mask ---


def _lower(n_query: int, n_key: int, diagonal: int) -> Tensor:
    return torch.ones(n_query, n_key, dtype=torch.bool).tril(diagonal)


def family(
    part: str,
    n_query: int,
    n_key: int,
    *,
    causal: tuple[str, ...] = ("gpt", "t5 decoder"),
    top_left: bool = False,
    shift: int = 0,
) -> Tensor:
    """Make the mask by the rule, with one part of it replaceable: the wrong ways are made from this."""
    if part in causal:
        return _lower(n_query, n_key, shift + (0 if top_left else n_key - n_query))
    return torch.ones(n_query, n_key, dtype=torch.bool)


def _family(phrase: str, **changes: Any) -> WrongWay:
    return WrongWay(phrase, lambda part, n_query, n_key: family(part, n_query, n_key, **changes))


FAMILY_MASK = (
    _family("bert reads in both directions, and yours hides the future from it", causal=("bert", "gpt", "t5 decoder")),
    _family(
        "the encoder of T5 reads its whole text, and yours hides the future from it",
        causal=("gpt", "t5 encoder", "t5 decoder"),
    ),
    _family(
        "cross-attention looks at another text, all of which is there already; yours hides a part of it",
        causal=("gpt", "t5 decoder", "t5 cross"),
    ),
    _family("the decoder of T5 sees the words that it has yet to write", causal=("gpt",)),
    _family("gpt sees the words that it has yet to write", causal=("t5 decoder",)),
    _family("the mask is aligned at the top left, but the queries are the last of the positions", top_left=True),
    _family("a position must see itself too", shift=-1),
    _family("a position sees one step into its future", shift=1),
    WrongWay("the mask is inverted: True says that a query may look", lambda *args: ~family(*args)),
    WrongWay(
        "you hide the past in place of the future",
        lambda part, n_query, n_key: (
            family(part, n_query, n_key)
            if part not in ("gpt", "t5 decoder")
            else torch.ones(n_query, n_key, dtype=torch.bool).triu(n_key - n_query)
        ),
    ),
)

# --- share_heads ---

SHARE_HEADS = (
    WrongWay(
        "the heads come in the wrong order: the first query heads share the first key head, and so on in groups",
        lambda x, n_heads: x.repeat(1, n_heads // x.shape[1], 1, 1),
    ),
    WrongWay(
        "each key head is repeated n_heads times; together they must be n_heads",
        lambda x, n_heads: x.repeat_interleave(n_heads, 1),
    ),
    WrongWay(
        "each key head is repeated as many times as there are key heads",
        lambda x, n_heads: x.repeat_interleave(x.shape[1], 1),
    ),
    WrongWay(
        "the positions are repeated, not the heads",
        lambda x, n_heads: x.repeat_interleave(n_heads // x.shape[1], 2),
    ),
    WrongWay("the texts are repeated, not the heads", lambda x, n_heads: x.repeat_interleave(n_heads // x.shape[1], 0)),
    WrongWay(
        "the features are repeated, not the heads", lambda x, n_heads: x.repeat_interleave(n_heads // x.shape[1], 3)
    ),
    WrongWay("all query heads share the first key head", lambda x, n_heads: x[:, :1].expand(-1, n_heads, -1, -1)),
    WrongWay("the heads stand in reverse", lambda x, n_heads: x.flip(1).repeat_interleave(n_heads // x.shape[1], 1)),
    WrongWay(
        "the mean of the key heads is shared by all", lambda x, n_heads: x.mean(1, True).expand(-1, n_heads, -1, -1)
    ),
    WrongWay(
        "the copies share one head's size: each must be whole, not divided by their number",
        lambda x, n_heads: x.repeat_interleave(n_heads // x.shape[1], 1) / (n_heads // x.shape[1]),
    ),
)

# --- count_parameters ---


def count(
    vocab_size: int,
    max_len: int,
    d_model: int,
    n_layers: int,
    d_ff: int,
    tied: bool,
    *,
    tables: int | None = None,
    positions: int = 1,
    projections: int = 4,
    attention_biases: int = 1,
    inner_biases: int = 1,
    norms: int = 2,
    final: int = 1,
    per_norm: int = 2,
    inner: int | None = None,
) -> int:
    """Count by the rule, with one part of it replaceable: the wrong ways are made from this."""
    inner = d_ff if inner is None else inner
    attention = projections * (d_model**2 + attention_biases * d_model)
    feed_forward = 2 * d_model * inner + inner_biases * (inner + d_model)
    block = attention + feed_forward + norms * per_norm * d_model
    tables = (1 if tied else 2) if tables is None else tables
    embeddings = (tables * vocab_size + positions * max_len) * d_model
    return embeddings + n_layers * block + final * per_norm * d_model


def _count(phrase: str, **changes: Any) -> WrongWay:
    return WrongWay(phrase, lambda *args: count(*args, **changes))


COUNT_PARAMETERS = (
    _count("the matrix that scores the words is counted again, though it is tied to the embedding", tables=2),
    _count("without tying, the words are embedded by one matrix and scored by another; one is missing", tables=1),
    _count("the table of positions is missing", positions=0),
    _count("the normalisation after the last block is missing", final=0),
    _count("a block has two normalisations; one of each is missing", norms=1),
    _count("the normalisations are missing", norms=0, final=0),
    _count("a LayerNorm has a weight and a bias for each feature; the biases are missing", per_norm=1),
    _count("the biases of attention are missing", attention_biases=0),
    _count("the biases of the feed-forward layers are missing", inner_biases=0),
    _count("the biases of the projections are missing", attention_biases=0, inner_biases=0),
    _count("attention has a fourth matrix, which mixes what the heads found", projections=3),
    WrongWay(
        "the size of the inner layer is given as d_ff, and yours takes 4 times d_model",
        lambda vocab_size, max_len, d_model, n_layers, d_ff, tied: count(
            vocab_size, max_len, d_model, n_layers, d_ff, tied, inner=4 * d_model
        ),
    ),
    WrongWay("only one block is counted", lambda v, p, d, n_layers, d_ff, tied: count(v, p, d, 1, d_ff, tied)),
)

# --- our_name ---

#: What a BERT file calls a tensor outside the layers, and what the companion's BERT calls it.
OUTSIDE = {
    "embeddings.word_embeddings.weight": "token_embedding.weight",
    "embeddings.position_embeddings.weight": "position_embedding.weight",
    "embeddings.token_type_embeddings.weight": "segment_embedding.weight",
    "embeddings.LayerNorm.weight": "embedding_norm.weight",
    "embeddings.LayerNorm.bias": "embedding_norm.bias",
    "pooler.dense.weight": "pooler.weight",
    "pooler.dense.bias": "pooler.bias",
}
#: The same inside a layer.
INSIDE = {
    f"{theirs}.{kind}": f"{ours}.{kind}"
    for theirs, ours in {
        "attention.self.query": "attention.query",
        "attention.self.key": "attention.key",
        "attention.self.value": "attention.value",
        "attention.output.dense": "attention.output",
        "attention.output.LayerNorm": "attention_norm",
        "intermediate.dense": "feed_forward.up",
        "output.dense": "feed_forward.down",
        "output.LayerNorm": "feed_forward_norm",
    }.items()
    for kind in ("weight", "bias")
}
RULES = (
    ("embeddings.word_embeddings", "token_embedding"),
    ("embeddings.position_embeddings", "position_embedding"),
    ("embeddings.token_type_embeddings", "segment_embedding"),
    ("embeddings.LayerNorm", "embedding_norm"),
    ("pooler.dense", "pooler"),
    ("encoder.layer.", "encoder.blocks."),
    ("attention.self.", "attention."),
    ("attention.output.dense", "attention.output"),
    ("attention.output.LayerNorm", "attention_norm"),
    ("intermediate.dense", "feed_forward.up"),
    ("output.dense", "feed_forward.down"),
    ("output.LayerNorm", "feed_forward_norm"),
)


def renamed(name: str, rules: tuple[tuple[str, str], ...] = RULES, prefix: str = "bert.") -> str:
    """Replace by rules, in order: the wrong ways are made from this."""
    if name.endswith("position_ids"):
        return ""
    name = name.removeprefix(prefix)
    for theirs, ours in rules:
        name = name.replace(theirs, ours)
    return name


def with_rules(changes: dict[str, str]) -> Callable[[str], str]:
    """Rename with some rules changed, each known by what it replaces."""
    rules = tuple((theirs, changes.get(theirs, ours)) for theirs, ours in RULES)
    return lambda name: renamed(name, rules)


_SHORT_FIRST = (*RULES[:7], *RULES[10:], *RULES[7:10])

OUR_NAME = (
    WrongWay(
        "the prefix `bert.` stays; files of a model with heads have it, and the names are otherwise the same",
        lambda name: renamed(name, prefix="none."),
    ),
    WrongWay(
        "you replaced `output.dense` and `output.LayerNorm` everywhere before the longer names that hold them, so "
        "attention got the names of the feed-forward half",
        lambda name: renamed(name, _SHORT_FIRST),
    ),
    WrongWay(
        "position_ids is no weight: it is counted, not trained, and has no name with us",
        lambda name: "position_ids" if name.endswith("position_ids") else renamed(name),
    ),
    WrongWay(
        "position_ids is no weight: it is counted, not trained, and has no name with us",
        lambda name: name if name.endswith("position_ids") else renamed(name),
    ),
    WrongWay(
        "the two halves of the feed-forward layer have changed places: which one makes the vectors wider?",
        with_rules({"intermediate.dense": "feed_forward.down", "output.dense": "feed_forward.up"}),
    ),
    WrongWay(
        "the two normalisations of a block have changed places: which one follows attention?",
        with_rules({"attention.output.LayerNorm": "feed_forward_norm", "output.LayerNorm": "attention_norm"}),
    ),
    WrongWay(
        "the tables of positions and of segments have changed places",
        with_rules(
            {
                "embeddings.position_embeddings": "segment_embedding",
                "embeddings.token_type_embeddings": "position_embedding",
            }
        ),
    ),
    WrongWay("`self` is still in the name", with_rules({"attention.self.": "attention.self."})),
    WrongWay("the layers are called `blocks` with us", with_rules({"encoder.layer.": "encoder.layer."})),
    WrongWay("`dense` is still in the pooler's name", with_rules({"pooler.dense": "pooler.dense"})),
    WrongWay(
        "the layers are counted from 0 on both sides",
        lambda name: _renumbered(name, lambda layer: str(int(layer) + 1)),
    ),
    WrongWay(
        "of a layer's number you keep one digit; there are models with more than ten layers",
        lambda name: _renumbered(name, lambda layer: layer[0]),
    ),
    WrongWay("this is the file's own name, as you were given it", lambda name: name),
)


def _renumbered(name: str, change: Callable[[str], str]) -> str:
    ours = renamed(name)
    if not ours.startswith("encoder.blocks."):
        return ours
    layer, rest = ours.removeprefix("encoder.blocks.").split(".", 1)
    return f"encoder.blocks.{change(layer)}.{rest}"


# --- pool ---


def _pooled(phrase: str, pick: Callable[[Tensor], Tensor], squash: Callable[[Tensor], Tensor] = torch.tanh) -> WrongWay:
    return WrongWay(phrase, lambda hidden, weight, bias: squash(F.linear(pick(hidden), weight, bias)))


def _first(hidden: Tensor) -> Tensor:
    return hidden[:, 0]


POOL = (
    _pooled("the tanh is missing", _first, lambda x: x),
    WrongWay("the weight is transposed: a linear layer computes x Wᵀ + b", lambda h, w, b: torch.tanh(h[:, 0] @ w + b)),
    WrongWay("the bias is missing", lambda h, w, b: torch.tanh(h[:, 0] @ w.T)),
    _pooled("you took the mean of all tokens; the pooler reads one of them", lambda h: h.mean(1)),
    _pooled("you took the last token; the pooler reads the one that stands for the text", lambda h: h[:, -1]),
    _pooled("you took the largest of all tokens' features; the pooler reads one token", lambda h: h.amax(1)),
    _pooled("you took the second token; count from 0", lambda h: h[:, 1]),
    _pooled("you took all tokens of the first text, not the first token of all texts", lambda h: h[0]),
    _pooled("every token is pooled; a text needs one vector", lambda h: h),
    WrongWay("the tanh comes before the linear layer, not after it", lambda h, w, b: F.linear(h[:, 0].tanh(), w, b)),
    _pooled("the pooler squashes with a tanh; this is a sigmoid", _first, torch.sigmoid),
    _pooled("the pooler squashes with a tanh; this is a GELU", _first, F.gelu),
    _pooled("the pooler squashes with a tanh; this is a ReLU", _first, F.relu),
    WrongWay("the first token is returned as it is; the pooler's layer is missing", lambda h, w, b: h[:, 0]),
)

# --- fill_masks ---


def _at_fixed(position: int) -> Callable[[Tensor, Tensor, int], Tensor]:
    def fill(ids: Tensor, logits: Tensor, mask_id: int) -> Tensor:
        filled = ids.clone()
        filled[ids == mask_id] = logits[0, position].argmax()
        return filled

    return fill


def _first_only(ids: Tensor, logits: Tensor, mask_id: int) -> Tensor:
    hidden = ids == mask_id
    return torch.where(hidden & (hidden.cumsum(-1) == 1), logits.argmax(-1), ids)


FILL_MASKS = (
    WrongWay("only the first hidden token of each text is filled", _first_only),
    WrongWay(
        "you read the scores one position before the hidden token; that is how GPT predicts, not BERT",
        lambda ids, logits, mask_id: torch.where(ids == mask_id, logits.argmax(-1).roll(1, -1), ids),
    ),
    WrongWay(
        "you read the scores one position after the hidden token",
        lambda ids, logits, mask_id: torch.where(ids == mask_id, logits.argmax(-1).roll(-1, -1), ids),
    ),
    WrongWay("every token is replaced, hidden or not", lambda ids, logits, mask_id: logits.argmax(-1)),
    WrongWay(
        "the tokens that were not hidden are replaced, and those that were are left",
        lambda ids, logits, mask_id: torch.where(ids != mask_id, logits.argmax(-1), ids),
    ),
    WrongWay(
        "you took the token with the lowest score",
        lambda ids, logits, mask_id: torch.where(ids == mask_id, logits.argmin(-1), ids),
    ),
    WrongWay(
        "you return the new tokens alone; the text around them is wanted too",
        lambda ids, logits, mask_id: logits.argmax(-1)[ids == mask_id],
    ),
    WrongWay("nothing was filled: this is the text as it came", lambda ids, logits, mask_id: ids),
    WrongWay(
        "every hidden token of the batch gets the first one's answer",
        lambda ids, logits, mask_id: torch.where(ids == mask_id, logits.argmax(-1)[ids == mask_id][0], ids),
    ),
    WrongWay(
        "only the first text of the batch is filled",
        lambda ids, logits, mask_id: torch.cat([torch.where(ids == mask_id, logits.argmax(-1), ids)[:1], ids[1:]]),
    ),
    *(
        WrongWay(
            "you read the scores at a fixed position, as article 003 does; the hidden token may be anywhere",
            _at_fixed(position),
        )
        for position in range(6)
    ),
)

# --- split_fused ---


def _parts(weight: Tensor) -> tuple[Tensor, ...]:
    return tuple(part.mT for part in weight.chunk(3, -1))


SPLIT_FUSED = (
    WrongWay(
        "the parts are not turned: the file multiplies x W, a linear layer of torch x Wᵀ",
        lambda weight: weight.chunk(3, -1),
    ),
    WrongWay("the rows are cut; the three parts stand side by side", lambda weight: weight.tensor_split(3, 0)),
    WrongWay(
        "you took every third column; the three parts stand side by side, each in one piece",
        lambda weight: tuple(weight[:, i::3].mT for i in range(3)),
    ),
    WrongWay(
        "you turned the matrix by reshaping it, which keeps the numbers in their order; turning exchanges the axes",
        lambda weight: weight.reshape(-1, len(weight)).chunk(3, 0),
    ),
    *(
        WrongWay(
            "the order of the three is wrong: queries first, then keys, then values",
            lambda weight, order=order: tuple(_parts(weight)[i] for i in order),
        )
        for order in ((0, 2, 1), (1, 0, 2), (2, 1, 0), (1, 2, 0), (2, 0, 1))
    ),
    WrongWay("all three are the queries' part", lambda weight: (_parts(weight)[0],) * 3),
    WrongWay(
        "the parts overlap: each begins where the one before it ends",
        lambda weight: tuple(weight[:, i : i + len(weight)].mT for i in range(3)),
    ),
    WrongWay(
        "the numbers are scaled; loading copies them as they are",
        lambda weight: tuple(part / len(weight) ** 0.5 for part in _parts(weight)),
    ),
)

# --- shift_right ---


def shifted(labels: Tensor, start_id: int, pad_id: int, *, by: int = 1, axis: int = 1) -> Tensor:
    """Shift by the rule, with one part of it replaceable: the wrong ways are made from this."""
    start = torch.full_like(labels.narrow(axis, 0, min(by, labels.shape[axis])), start_id)
    moved = torch.cat([start, labels.narrow(axis, 0, max(labels.shape[axis] - by, 0))], axis)
    return moved.masked_fill(moved == -100, pad_id)


def _padded(labels: Tensor, pad_id: int) -> Tensor:
    return labels.masked_fill(labels == -100, pad_id)


def _started(labels: Tensor, start_id: int) -> Tensor:
    return torch.cat([torch.full_like(labels[:, :1], start_id), labels], 1)


SHIFT_RIGHT = (
    WrongWay(
        "-100 is still among the tokens: it tells the loss to look away, and no embedding has that row",
        lambda labels, start_id, pad_id: _started(labels[:, :-1], start_id),
    ),
    WrongWay(
        "ignored labels became the start token, not the padding",
        lambda labels, start_id, pad_id: shifted(labels, start_id, start_id),
    ),
    WrongWay(
        "the text begins with the padding, not with the start token",
        lambda labels, start_id, pad_id: shifted(labels, pad_id, pad_id),
    ),
    WrongWay(
        "the labels are not shifted: the decoder is given the very token that it must predict",
        lambda labels, start_id, pad_id: _padded(labels, pad_id),
    ),
    WrongWay(
        "the labels are shifted to the left: the decoder is given the token after the one it must predict",
        lambda labels, start_id, pad_id: _padded(
            torch.cat([labels[:, 1:], torch.full_like(labels[:, :1], start_id)], 1), pad_id
        ),
    ),
    WrongWay(
        "the last label has come round to the front; the start token belongs there",
        lambda labels, start_id, pad_id: _padded(labels, pad_id).roll(1, -1),
    ),
    WrongWay(
        "the texts have become one longer; the last label is predicted, never read",
        lambda labels, start_id, pad_id: _started(_padded(labels, pad_id), start_id),
    ),
    WrongWay(
        "the start token stands where the first label was, and nothing has moved",
        lambda labels, start_id, pad_id: _started(_padded(labels[:, 1:], pad_id), start_id),
    ),
    WrongWay(
        "the labels are shifted along the batch; each text has its own",
        lambda labels, start_id, pad_id: shifted(labels, start_id, pad_id, axis=0),
    ),
    WrongWay("the labels are shifted by two", lambda labels, start_id, pad_id: shifted(labels, start_id, pad_id, by=2)),
)
