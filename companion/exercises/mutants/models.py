"""Wrong answers to the exercises of the models lab, written as a student would write them."""

import torch

from companion.exercises.models import EXERCISES
from companion.exercises.mutants.filing import Mutants, file_learned_by_heart, filing

MUTANTS: Mutants = {}
wrong = filing(MUTANTS)

# --- family_mask ---


def lower(n_query, n_key):
    """Mask rightly for who reads left to right: what a student has in hand when going wrong elsewhere."""
    return torch.ones(n_query, n_key, dtype=torch.bool).tril(n_key - n_query)


def everything(n_query, n_key):
    """Hide nothing."""
    return torch.ones(n_query, n_key, dtype=torch.bool)


@wrong("family_mask", "all causal", "hides the future from it")
def _(part, n_query, n_key):
    return lower(n_query, n_key)


@wrong("family_mask", "all see everything", "sees the words that it has yet to write")
def _(part, n_query, n_key):
    return everything(n_query, n_key)


@wrong("family_mask", "bert is causal", "bert reads in both directions")
def _(part, n_query, n_key):
    return lower(n_query, n_key) if part in ("bert", "gpt", "t5 decoder") else everything(n_query, n_key)


@wrong("family_mask", "gpt sees all", "gpt sees the words that it has yet to write")
def _(part, n_query, n_key):
    return lower(n_query, n_key) if part == "t5 decoder" else everything(n_query, n_key)


@wrong("family_mask", "t5 never hides", "the decoder of T5 sees the words that it has yet to write")
def _(part, n_query, n_key):
    return lower(n_query, n_key) if part == "gpt" else everything(n_query, n_key)


@wrong("family_mask", "t5 always hides", "the encoder of T5 reads its whole text")
def _(part, n_query, n_key):
    return lower(n_query, n_key) if part != "bert" and part != "t5 cross" else everything(n_query, n_key)


@wrong("family_mask", "every name with t5 hides", "the encoder of T5 reads its whole text")
def _(part, n_query, n_key):
    return everything(n_query, n_key) if part == "bert" else lower(n_query, n_key)


@wrong("family_mask", "cross-attention is causal", "cross-attention looks at another text")
def _(part, n_query, n_key):
    return lower(n_query, n_key) if part in ("gpt", "t5 decoder", "t5 cross") else everything(n_query, n_key)


@wrong("family_mask", "aligned at the top left", "aligned at the top left")
def _(part, n_query, n_key):
    mask = everything(n_query, n_key)
    return mask.tril() if part in ("gpt", "t5 decoder") else mask


@wrong("family_mask", "not itself", "must see itself too")
def _(part, n_query, n_key):
    mask = everything(n_query, n_key)
    return mask.tril(n_key - n_query - 1) if part in ("gpt", "t5 decoder") else mask


@wrong("family_mask", "one step ahead", "one step into its future")
def _(part, n_query, n_key):
    mask = everything(n_query, n_key)
    return mask.tril(n_key - n_query + 1) if part in ("gpt", "t5 decoder") else mask


@wrong("family_mask", "True hides", "the mask is inverted")
def _(part, n_query, n_key):
    return ~lower(n_query, n_key) if part in ("gpt", "t5 decoder") else ~everything(n_query, n_key)


@wrong("family_mask", "hides the past", "you hide the past")
def _(part, n_query, n_key):
    mask = everything(n_query, n_key)
    return mask.triu(n_key - n_query) if part in ("gpt", "t5 decoder") else mask


@wrong("family_mask", "zeros and ones", "expected bool")
def _(part, n_query, n_key):
    mask = lower(n_query, n_key) if part in ("gpt", "t5 decoder") else everything(n_query, n_key)
    return mask.float()


@wrong("family_mask", "square")
def _(part, n_query, n_key):
    return lower(n_key, n_key) if part in ("gpt", "t5 decoder") else everything(n_key, n_key)


@wrong("family_mask", "keys before queries")
def _(part, n_query, n_key):
    mask = lower(n_query, n_key) if part in ("gpt", "t5 decoder") else everything(n_query, n_key)
    return mask.T


# --- share_heads ---


@wrong("share_heads", "tiled", "the heads come in the wrong order")
def _(x, n_heads):
    return torch.cat([x] * (n_heads // x.shape[1]), dim=1)


@wrong("share_heads", "n_heads times each", "repeated n_heads times")
def _(x, n_heads):
    return x.repeat_interleave(n_heads, dim=1)


@wrong("share_heads", "positions", "the positions are repeated")
def _(x, n_heads):
    return x.repeat_interleave(n_heads // x.shape[1], dim=2)


@wrong("share_heads", "texts", "the texts are repeated")
def _(x, n_heads):
    return x.repeat_interleave(n_heads // x.shape[1], dim=0)


@wrong("share_heads", "features", "the features are repeated")
def _(x, n_heads):
    return x.repeat_interleave(n_heads // x.shape[1], dim=-1)


@wrong("share_heads", "the first for all", "share the first key head")
def _(x, n_heads):
    return x[:, :1].repeat(1, n_heads, 1, 1)


@wrong("share_heads", "mean for all", "the mean of the key heads")
def _(x, n_heads):
    return x.mean(1, keepdim=True).repeat(1, n_heads, 1, 1)


@wrong("share_heads", "reversed", "stand in reverse")
def _(x, n_heads):
    return x.flip(1).repeat_interleave(n_heads // x.shape[1], dim=1)


@wrong("share_heads", "divided", "each must be whole")
def _(x, n_heads):
    times = n_heads // x.shape[1]
    return x.repeat_interleave(times, dim=1) / times


@wrong("share_heads", "expand of a full axis", "`expand` repeats only axes of size 1")
def _(x, n_heads):
    return x.expand(-1, n_heads, -1, -1)


@wrong("share_heads", "not repeated")
def _(x, n_heads):
    return x


@wrong("share_heads", "cut across heads")
def _(x, n_heads):
    times = n_heads // x.shape[1]
    return torch.stack([x] * times, dim=-1).flatten(2).reshape(x.shape[0], n_heads, *x.shape[2:])


@wrong("share_heads", "single precision", "dtype float32, expected float64")
def _(x, n_heads):
    return x.float().repeat_interleave(n_heads // x.shape[1], dim=1)


@wrong("share_heads", "changes its input", "changed its argument `x` in place")
def _(x, n_heads):
    shared = x.repeat_interleave(n_heads // x.shape[1], dim=1)
    x.zero_()
    return shared


@wrong("share_heads", "as many times as key heads", "as many times as there are key heads")
def _(x, n_heads):
    return x.repeat_interleave(x.shape[1], dim=1)


@wrong("share_heads", "only reshaped", "along the axis of heads")
def _(x, n_heads):
    return x.reshape(x.shape[0], n_heads, *x.shape[2:])


# --- count_parameters ---


def block_of(d_model, d_ff):
    """Count one block rightly."""
    return 4 * d_model**2 + 4 * d_model + 2 * d_model * d_ff + d_ff + d_model + 4 * d_model


@wrong("count_parameters", "tied head counted", "is counted again")
def _(vocab_size, max_len, d_model, n_layers, d_ff, tied):
    return 2 * vocab_size * d_model + max_len * d_model + n_layers * block_of(d_model, d_ff) + 2 * d_model


@wrong("count_parameters", "untied head forgotten", "one is missing")
def _(vocab_size, max_len, d_model, n_layers, d_ff, tied):
    return (vocab_size + max_len) * d_model + n_layers * block_of(d_model, d_ff) + 2 * d_model


@wrong("count_parameters", "tied the wrong way round")
def _(vocab_size, max_len, d_model, n_layers, d_ff, tied):
    tables = 2 if tied else 1
    return (tables * vocab_size + max_len) * d_model + n_layers * block_of(d_model, d_ff) + 2 * d_model


@wrong("count_parameters", "no positions", "the table of positions is missing")
def _(vocab_size, max_len, d_model, n_layers, d_ff, tied):
    return (1 if tied else 2) * vocab_size * d_model + n_layers * block_of(d_model, d_ff) + 2 * d_model


@wrong("count_parameters", "no last norm", "after the last block is missing")
def _(vocab_size, max_len, d_model, n_layers, d_ff, tied):
    return ((1 if tied else 2) * vocab_size + max_len) * d_model + n_layers * block_of(d_model, d_ff)


@wrong("count_parameters", "one norm a block", "one of each is missing")
def _(vocab_size, max_len, d_model, n_layers, d_ff, tied):
    tables = ((1 if tied else 2) * vocab_size + max_len) * d_model
    return tables + n_layers * (block_of(d_model, d_ff) - 2 * d_model) + 2 * d_model


@wrong("count_parameters", "no norms", "the normalisations are missing")
def _(vocab_size, max_len, d_model, n_layers, d_ff, tied):
    tables = ((1 if tied else 2) * vocab_size + max_len) * d_model
    return tables + n_layers * (block_of(d_model, d_ff) - 4 * d_model)


@wrong("count_parameters", "norms without bias", "the biases are missing")
def _(vocab_size, max_len, d_model, n_layers, d_ff, tied):
    tables = ((1 if tied else 2) * vocab_size + max_len) * d_model
    return tables + n_layers * (block_of(d_model, d_ff) - 2 * d_model) + d_model


@wrong("count_parameters", "no biases", "the biases of the projections are missing")
def _(vocab_size, max_len, d_model, n_layers, d_ff, tied):
    tables = ((1 if tied else 2) * vocab_size + max_len) * d_model
    return tables + n_layers * (4 * d_model**2 + 2 * d_model * d_ff + 4 * d_model) + 2 * d_model


@wrong("count_parameters", "attention without biases", "the biases of attention are missing")
def _(vocab_size, max_len, d_model, n_layers, d_ff, tied):
    tables = ((1 if tied else 2) * vocab_size + max_len) * d_model
    return tables + n_layers * (block_of(d_model, d_ff) - 4 * d_model) + 2 * d_model


@wrong("count_parameters", "feed-forward without biases", "the biases of the feed-forward layers are missing")
def _(vocab_size, max_len, d_model, n_layers, d_ff, tied):
    tables = ((1 if tied else 2) * vocab_size + max_len) * d_model
    return tables + n_layers * (block_of(d_model, d_ff) - d_ff - d_model) + 2 * d_model


@wrong("count_parameters", "no output projection", "a fourth matrix")
def _(vocab_size, max_len, d_model, n_layers, d_ff, tied):
    tables = ((1 if tied else 2) * vocab_size + max_len) * d_model
    return tables + n_layers * (block_of(d_model, d_ff) - d_model**2 - d_model) + 2 * d_model


@wrong("count_parameters", "inner size of 4 d", "is given as d_ff")
def _(vocab_size, max_len, d_model, n_layers, d_ff, tied):
    tables = ((1 if tied else 2) * vocab_size + max_len) * d_model
    return tables + n_layers * block_of(d_model, 4 * d_model) + 2 * d_model


@wrong("count_parameters", "one block", "only one block is counted")
def _(vocab_size, max_len, d_model, n_layers, d_ff, tied):
    tables = ((1 if tied else 2) * vocab_size + max_len) * d_model
    return tables + block_of(d_model, d_ff) + 2 * d_model


@wrong("count_parameters", "twelve d squared")
def _(vocab_size, max_len, d_model, n_layers, d_ff, tied):
    return ((1 if tied else 2) * vocab_size + max_len) * d_model + n_layers * 12 * d_model**2


@wrong("count_parameters", "a float", "expected an int")
def _(vocab_size, max_len, d_model, n_layers, d_ff, tied):
    tables = ((1 if tied else 2) * vocab_size + max_len) * d_model
    return float(tables + n_layers * block_of(d_model, d_ff) + 2 * d_model)


@wrong("count_parameters", "millions")
def _(vocab_size, max_len, d_model, n_layers, d_ff, tied):
    tables = ((1 if tied else 2) * vocab_size + max_len) * d_model
    return round((tables + n_layers * block_of(d_model, d_ff) + 2 * d_model) / 1e6)


# --- our_name ---

PLACES = {
    "embeddings.word_embeddings": "token_embedding",
    "embeddings.position_embeddings": "position_embedding",
    "embeddings.token_type_embeddings": "segment_embedding",
    "embeddings.LayerNorm": "embedding_norm",
    "pooler.dense": "pooler",
    "encoder.layer.": "encoder.blocks.",
    "attention.self.": "attention.",
    "attention.output.dense": "attention.output",
    "attention.output.LayerNorm": "attention_norm",
    "intermediate.dense": "feed_forward.up",
    "output.dense": "feed_forward.down",
    "output.LayerNorm": "feed_forward_norm",
}


def translated(name, **changes):
    """Translate rightly, but for what `changes` says."""
    if name.endswith("position_ids"):
        return ""
    name = name.removeprefix("bert.")
    for theirs, ours in {**PLACES, **changes}.items():
        name = name.replace(theirs, ours)
    return name


@wrong("our_name", "as it came", "as you were given it")
def _(name):
    return name


@wrong("our_name", "prefix kept", "the prefix `bert.` stays")
def _(name):
    if name.endswith("position_ids"):
        return ""
    for theirs, ours in PLACES.items():
        name = name.replace(theirs, ours)
    return name


@wrong("our_name", "short names first", "before the longer names that hold them")
def _(name):
    if name.endswith("position_ids"):
        return ""
    name = name.removeprefix("bert.")
    for theirs, ours in sorted(PLACES.items(), key=lambda pair: len(pair[0])):
        name = name.replace(theirs, ours)
    return name


@wrong("our_name", "buffer kept", "position_ids is no weight")
def _(name):
    return name if name.endswith("position_ids") else translated(name)


@wrong("our_name", "up and down exchanged", "which one makes the vectors wider?")
def _(name):
    return translated(name, **{"intermediate.dense": "feed_forward.down", "output.dense": "feed_forward.up"})


@wrong("our_name", "norms exchanged", "which one follows attention?")
def _(name):
    return translated(name, **{"attention.output.LayerNorm": "feed_forward_norm", "output.LayerNorm": "attention_norm"})


@wrong("our_name", "positions and segments exchanged", "positions and of segments have changed places")
def _(name):
    return translated(
        name,
        **{
            "embeddings.position_embeddings": "segment_embedding",
            "embeddings.token_type_embeddings": "position_embedding",
        },
    )


@wrong("our_name", "self kept", "`self` is still in the name")
def _(name):
    return translated(name, **{"attention.self.": "attention.self."})


@wrong("our_name", "layers not renamed", "the layers are called `blocks`")
def _(name):
    return translated(name, **{"encoder.layer.": "encoder.layer."})


@wrong("our_name", "dense kept", "in the pooler's name")
def _(name):
    return translated(name, **{"pooler.dense": "pooler.dense"})


@wrong("our_name", "layers counted from 1", "counted from 0 on both sides")
def _(name):
    parts = translated(name).split(".")
    return ".".join(str(int(part) + 1) if part.isdigit() else part for part in parts)


@wrong("our_name", "one digit", "you keep one digit")
def _(name):
    parts = translated(name).split(".")
    return ".".join(part[0] if part.isdigit() else part for part in parts)


@wrong("our_name", "None for what is no weight", "returned None")
def _(name):
    return translated(name) or None


@wrong("our_name", "weights only")
def _(name):
    return translated(name) if name.endswith("weight") else ""


@wrong("our_name", "layer 0 only")
def _(name):
    return translated(name) if "layer" not in name or ".0." in name else ""


@wrong("our_name", "a list of parts")
def _(name):
    return translated(name).split(".")


# --- pool ---


@wrong("pool", "no tanh", "the tanh is missing")
def _(hidden, weight, bias):
    return hidden[:, 0] @ weight.T + bias


@wrong("pool", "weight transposed", "the weight is transposed")
def _(hidden, weight, bias):
    return torch.tanh(hidden[:, 0] @ weight + bias)


@wrong("pool", "no bias", "the bias is missing")
def _(hidden, weight, bias):
    return torch.tanh(hidden[:, 0] @ weight.T)


@wrong("pool", "mean", "you took the mean of all tokens")
def _(hidden, weight, bias):
    return torch.tanh(hidden.mean(1) @ weight.T + bias)


@wrong("pool", "last token", "you took the last token")
def _(hidden, weight, bias):
    return torch.tanh(hidden[:, -1] @ weight.T + bias)


@wrong("pool", "largest", "you took the largest")
def _(hidden, weight, bias):
    return torch.tanh(hidden.max(dim=1).values @ weight.T + bias)


@wrong("pool", "second token", "count from 0")
def _(hidden, weight, bias):
    return torch.tanh(hidden[:, 1] @ weight.T + bias)


@wrong("pool", "first text", "not the first token of all texts")
def _(hidden, weight, bias):
    return torch.tanh(hidden[0] @ weight.T + bias)


@wrong("pool", "all tokens", "every token is pooled")
def _(hidden, weight, bias):
    return torch.tanh(hidden @ weight.T + bias)


@wrong("pool", "tanh first", "the tanh comes before the linear layer")
def _(hidden, weight, bias):
    return torch.tanh(hidden[:, 0]) @ weight.T + bias


@wrong("pool", "sigmoid", "this is a sigmoid")
def _(hidden, weight, bias):
    return torch.sigmoid(hidden[:, 0] @ weight.T + bias)


@wrong("pool", "relu", "this is a ReLU")
def _(hidden, weight, bias):
    return torch.relu(hidden[:, 0] @ weight.T + bias)


@wrong("pool", "gelu", "this is a GELU")
def _(hidden, weight, bias):
    return torch.nn.functional.gelu(hidden[:, 0] @ weight.T + bias)


@wrong("pool", "the first token as it is", "the pooler's layer is missing")
def _(hidden, weight, bias):
    return hidden[:, 0].clone()


@wrong("pool", "axis kept")
def _(hidden, weight, bias):
    return torch.tanh(hidden[:, :1] @ weight.T + bias)


@wrong("pool", "all tokens in one row", "which of the vectors stands for the text?")
def _(hidden, weight, bias):
    return torch.tanh(hidden.flatten(1) @ weight.T + bias)


@wrong("pool", "bias along the batch", "print the shape after each step")
def _(hidden, weight, bias):
    return torch.tanh(hidden[:, 0] @ weight.T + bias[:, None])


# --- fill_masks ---


@wrong("fill_masks", "article 003", "at a fixed position, as article 003 does")
def _(input_ids, logits, mask_id):
    filled = input_ids.clone()
    filled[input_ids == mask_id] = torch.argmax(logits[0, 4]).item()
    return filled


@wrong("fill_masks", "first hidden only", "only the first hidden token")
def _(input_ids, logits, mask_id):
    filled = input_ids.clone()
    for row, scores in zip(filled, logits, strict=True):
        places = (row == mask_id).nonzero()
        if len(places):
            row[places[0, 0]] = scores[places[0, 0]].argmax()
    return filled


@wrong("fill_masks", "one position early", "that is how GPT predicts")
def _(input_ids, logits, mask_id):
    filled = input_ids.clone()
    for row, place in (input_ids == mask_id).nonzero().tolist():
        filled[row, place] = logits[row, place - 1].argmax()
    return filled


@wrong("fill_masks", "one position late", "one position after the hidden token")
def _(input_ids, logits, mask_id):
    filled = input_ids.clone()
    for row, place in (input_ids == mask_id).nonzero().tolist():
        filled[row, place] = logits[row, (place + 1) % input_ids.shape[1]].argmax()
    return filled


@wrong("fill_masks", "everything", "every token is replaced")
def _(input_ids, logits, mask_id):
    return logits.argmax(-1)


@wrong("fill_masks", "all but the hidden", "the tokens that were not hidden are replaced")
def _(input_ids, logits, mask_id):
    return torch.where(input_ids == mask_id, input_ids, logits.argmax(-1))


@wrong("fill_masks", "lowest score", "the token with the lowest score")
def _(input_ids, logits, mask_id):
    return torch.where(input_ids == mask_id, logits.argmin(-1), input_ids)


@wrong("fill_masks", "the new tokens alone", "you return the new tokens alone")
def _(input_ids, logits, mask_id):
    return logits[input_ids == mask_id].argmax(-1)


@wrong("fill_masks", "nothing", "nothing was filled")
def _(input_ids, logits, mask_id):
    return input_ids


@wrong("fill_masks", "one answer for all", "gets the first one's answer")
def _(input_ids, logits, mask_id):
    filled = input_ids.clone()
    filled[input_ids == mask_id] = logits[input_ids == mask_id].argmax(-1)[0]
    return filled


@wrong("fill_masks", "first text only", "only the first text of the batch is filled")
def _(input_ids, logits, mask_id):
    filled = input_ids.clone()
    places = (input_ids[0] == mask_id).nonzero()[:, 0]
    filled[0, places] = logits[0, places].argmax(-1)
    return filled


@wrong("fill_masks", "changes its input", "changed its argument `input_ids` in place")
def _(input_ids, logits, mask_id):
    input_ids[input_ids == mask_id] = logits[input_ids == mask_id].argmax(-1)
    return input_ids


@wrong("fill_masks", "the last of each text")
def _(input_ids, logits, mask_id):
    filled = input_ids.clone()
    for row, place in dict((input_ids == mask_id).nonzero().tolist()).items():
        filled[row, place] = logits[row, place].argmax()
    return filled


@wrong("fill_masks", "one hidden token a text", "several hidden tokens in a text")
def _(input_ids, logits, mask_id):
    filled = input_ids.clone()
    for row, scores in zip(filled, logits, strict=True):
        place = (row == mask_id).nonzero().item()
        row[place] = scores[place].argmax()
    return filled


@wrong("fill_masks", "a list", "expected a plain torch.Tensor")
def _(input_ids, logits, mask_id):
    return torch.where(input_ids == mask_id, logits.argmax(-1), input_ids).tolist()


@wrong("fill_masks", "the first hidden of each text for all", "several hidden tokens in a text, and texts without any")
def _(input_ids, logits, mask_id):
    hidden = input_ids == mask_id
    filled = input_ids.clone()
    filled[hidden] = logits.argmax(-1)[torch.arange(len(input_ids)), hidden.int().argmax(1)]
    return filled


# --- split_fused ---


@wrong("split_fused", "not turned", "the parts are not turned")
def _(weight):
    return weight.split(len(weight), dim=1)


@wrong("split_fused", "rows cut", "the rows are cut")
def _(weight):
    return weight.tensor_split(3, dim=0)


@wrong("split_fused", "every third column", "every third column")
def _(weight):
    return weight[:, ::3].T, weight[:, 1::3].T, weight[:, 2::3].T


@wrong("split_fused", "reshaped", "turned the matrix by reshaping it")
def _(weight):
    return weight.reshape(3 * len(weight), len(weight)).split(len(weight))


@wrong("split_fused", "value before key", "the order of the three is wrong")
def _(weight):
    query, value, key = weight.T.chunk(3)
    return query, key, value


@wrong("split_fused", "key before query", "the order of the three is wrong")
def _(weight):
    key, query, value = weight.T.chunk(3)
    return query, key, value


@wrong("split_fused", "value first", "the order of the three is wrong")
def _(weight):
    value, key, query = weight.T.chunk(3)
    return query, key, value


@wrong("split_fused", "query three times", "all three are the queries' part")
def _(weight):
    query = weight[:, : len(weight)].T
    return query, query, query


@wrong("split_fused", "overlapping", "the parts overlap")
def _(weight):
    d_model = len(weight)
    return weight[:, :d_model].T, weight[:, 1 : d_model + 1].T, weight[:, 2 : d_model + 2].T


@wrong("split_fused", "scaled", "loading copies them as they are")
def _(weight):
    return tuple(part / len(weight) ** 0.5 for part in weight.T.chunk(3))


@wrong("split_fused", "parts of three rows", "`split` takes the size of a part")
def _(weight):
    query, key, value = weight.T.split(1)
    return query, key, value


@wrong("split_fused", "still fused", "expected the 3 values (query, key, value)")
def _(weight):
    return weight.T


@wrong("split_fused", "two parts", "expected 3")
def _(weight):
    return weight.T.chunk(2)


@wrong("split_fused", "only the first turned")
def _(weight):
    query, key, value = weight.chunk(3, dim=1)
    return query.T, key, value


@wrong("split_fused", "a stack", "expected the 3 values (query, key, value)")
def _(weight):
    return torch.stack(weight.T.chunk(3))


# --- shift_right ---


def shifted(labels, start_id, pad_id):
    """Shift rightly."""
    moved = torch.cat([torch.full_like(labels[:, :1], start_id), labels[:, :-1]], dim=1)
    return moved.masked_fill(moved == -100, pad_id)


@wrong("shift_right", "-100 kept", "-100 is still among the tokens")
def _(labels, start_id, pad_id):
    return torch.cat([torch.full_like(labels[:, :1], start_id), labels[:, :-1]], dim=1)


@wrong("shift_right", "ignored become the start", "ignored labels became the start token")
def _(labels, start_id, pad_id):
    return shifted(labels, start_id, start_id)


@wrong("shift_right", "begins with padding", "the text begins with the padding")
def _(labels, start_id, pad_id):
    return shifted(labels, pad_id, pad_id)


@wrong("shift_right", "not shifted", "the labels are not shifted")
def _(labels, start_id, pad_id):
    return labels.masked_fill(labels == -100, pad_id)


@wrong("shift_right", "shifted left", "shifted to the left")
def _(labels, start_id, pad_id):
    moved = torch.cat([labels[:, 1:], torch.full_like(labels[:, :1], start_id)], dim=1)
    return moved.masked_fill(labels == -100, pad_id)


@wrong("shift_right", "rolled", "has come round to the front")
def _(labels, start_id, pad_id):
    return labels.masked_fill(labels == -100, pad_id).roll(1, dims=1)


@wrong("shift_right", "one longer", "one longer")
def _(labels, start_id, pad_id):
    text = labels.masked_fill(labels == -100, pad_id)
    return torch.cat([torch.full_like(text[:, :1], start_id), text], dim=1)


@wrong("shift_right", "start written over the first", "nothing has moved")
def _(labels, start_id, pad_id):
    moved = labels.masked_fill(labels == -100, pad_id)
    moved[:, 0] = start_id
    return moved


@wrong("shift_right", "along the batch", "shifted along the batch")
def _(labels, start_id, pad_id):
    moved = torch.cat([torch.full_like(labels[:1], start_id), labels[:-1]])
    return moved.masked_fill(moved == -100, pad_id)


@wrong("shift_right", "by two", "shifted by two")
def _(labels, start_id, pad_id):
    moved = torch.cat([torch.full_like(labels[:, :2], start_id), labels[:, :-2]], dim=1)
    return moved.masked_fill(moved == -100, pad_id)


@wrong("shift_right", "changes its input", "changed its argument `labels` in place")
def _(labels, start_id, pad_id):
    moved = shifted(labels, start_id, pad_id)
    labels[labels == -100] = pad_id
    return moved


@wrong("shift_right", "start is 0")
def _(labels, start_id, pad_id):
    return shifted(labels, 0, pad_id)


@wrong("shift_right", "floats", "expected int64")
def _(labels, start_id, pad_id):
    return shifted(labels, start_id, pad_id).float()


file_learned_by_heart(MUTANTS, EXERCISES)
