"""A training step of a masked language model: forward, backward, AdamW; against transformers' BertForMaskedLM.

The texts are ragged, as sentences and short documents are. Transformers' model reads them padded and scores every token
of the vocabulary at every position; ours reads them packed, and scores only where a token is hidden.
"""

import functools

import torch
from torch.nn.utils.rnn import pad_sequence
from transformers import AutoConfig, BertForMaskedLM

from companion.models import BERT, BERTConfig
from companion.objectives import corrupt_spans, mask_tokens, masked_positions, take_positions, token_loss
from companion.training import PLAIN, TrainingStep, adamw, fast_mode
from companion.weights import BERT_FAMILY
from tests.benchmarks.measure import Benchmark

CONFIG = BERTConfig(vocab_size=8192, max_len=128, d_model=256, n_heads=4, n_layers=4)
BATCH, SHORTEST = 32, 16
SPECIAL, MASK = 5, 4  # the first tokens, of which one hides others
LEARNING_RATE = 1e-4
MODES = {"plain": PLAIN, "fast": fast_mode()}


def draw(is_ragged):
    """Draw texts: their tokens, padded, and where they are."""
    generator = torch.Generator().manual_seed(10)
    lengths = torch.full((BATCH,), CONFIG.max_len)
    if is_ragged:  # 55% of the padded batch is text
        lengths[1:] = torch.randint(SHORTEST, CONFIG.max_len + 1, (BATCH - 1,), generator=generator)
    ids = torch.randint(SPECIAL, CONFIG.vocab_size, (BATCH, CONFIG.max_len), generator=generator)
    return ids, torch.arange(CONFIG.max_len) < lengths[:, None]


def hide(ids, is_text, generator):
    """Hide 15% of the tokens."""
    return mask_tokens(
        ids,
        mask_id=MASK,
        vocab_size=CONFIG.vocab_size,
        maskable=is_text,
        generator=generator,
        count=round(0.15 * int(is_text.sum())),
        special_ids=range(SPECIAL),
    )


def texts(is_ragged):
    """Draw texts and hide some of their tokens: for each the tokens to read and the labels."""
    ids, is_text = draw(is_ragged)
    masked = hide(ids, is_text, torch.Generator().manual_seed(1))
    return [(row[here], labels[here]) for row, labels, here in zip(*masked, is_text, strict=True)]


def padded(documents):
    """Put one text in each row: tokens, labels, and the mask of those that are no padding."""
    ids, labels = (
        pad_sequence(part, batch_first=True, padding_value=fill)
        for part, fill in zip(zip(*documents, strict=True), (0, -100), strict=True)
    )
    return ids, labels, pad_sequence([torch.ones_like(row) for row, _ in documents], batch_first=True)


def packed(documents):
    """Put the texts in as few rows as the longest first, each where it fits: tokens, labels, and documents."""
    rows = []
    for i, (ids, _) in sorted(enumerate(documents), key=lambda item: -len(item[1][0])):
        row = next((row for row in rows if sum(len(documents[j][0]) for j in row) + len(ids) <= CONFIG.max_len), None)
        if row is None:
            rows.append(row := [])
        row.append(i)

    def lay(part, fill):
        return pad_sequence([torch.cat([part(i) for i in row]) for row in rows], batch_first=True, padding_value=fill)

    ids, labels = lay(lambda i: documents[i][0], 0), lay(lambda i: documents[i][1], -100)
    return ids, labels, lay(lambda i: torch.full_like(documents[i][0], i), -1)


def ours(model, documents, is_ragged, mode):
    """Our step: packed rows, the head at the hidden positions, our loop."""
    ids, labels, numbers = packed(documents)
    positions = masked_positions(labels)

    def loss(ids, targets, positions, numbers):
        hidden = model(ids, document_ids=numbers)
        return token_loss(model.mlm_logits(take_positions(hidden, positions)), targets).mean

    step = TrainingStep(loss, adamw(model.parameters(), lr=LEARNING_RATE, mode=mode), mode=mode)
    return functools.partial(step, ids, take_positions(labels, positions), positions, numbers if is_ragged else None)


def theirs(model, documents, mode):
    """Transformers' model in the loop one would write, in PyTorch's defaults or with the switches of our mode."""
    ids, labels, attention_mask = padded(documents)
    optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, fused=True if mode.is_fused else None)
    compiled = torch.compile(model, dynamic=False) if mode.is_compiled else model

    def step():
        with torch.autocast("cpu", mode.autocast, enabled=mode.autocast is not None):
            loss = compiled(input_ids=ids, attention_mask=attention_mask, labels=labels).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return loss.detach()

    return step


def against(is_ragged, our_mode, their_mode):
    """Make both steps from the same weights, and make sure that they start from the same loss."""
    torch.manual_seed(0)
    settings = AutoConfig.for_model("bert", **BERT_FAMILY.write_config(CONFIG))
    settings._attn_implementation = "sdpa"
    other = BertForMaskedLM(settings).train()
    model = BERT(CONFIG, torch.Generator().manual_seed(0)).train()
    # Theirs has no pooler and no head for sentences, and its decoder's weights are those of other names.
    left = other.load_state_dict(BERT_FAMILY.table(CONFIG).write(model.state_dict()), strict=False)
    assert all(name.startswith("cls.predictions.decoder.") for name in left.missing_keys), left
    documents = texts(is_ragged)
    both = ours(model, documents, is_ragged, MODES[our_mode]), theirs(other, documents, MODES[their_mode])
    mine, expected = (step() for step in both)
    # bfloat16 rounds to three digits.
    torch.testing.assert_close(mine, expected, rtol=1e-5 if our_mode == their_mode == "plain" else 5e-3, atol=0)
    return both


def hiding_tokens():
    """Hiding tokens and finding them, and the step that reads them."""
    (ids, is_text), generator = draw(True), torch.Generator().manual_seed(0)
    step, _ = against(True, "fast", "plain")
    return lambda: masked_positions(hide(ids, is_text, generator).labels), step


def hiding_spans():
    """Hiding spans of all texts, and the step of an encoder alone; one with a decoder takes longer."""
    (ids, is_text), generator = draw(True), torch.Generator().manual_seed(0)
    documents = [row[here] for row, here in zip(ids, is_text, strict=True)]
    sentinels = range(CONFIG.vocab_size, CONFIG.vocab_size + 100)
    step, _ = against(True, "fast", "plain")
    return lambda: [corrupt_spans(row, sentinels=sentinels, end_id=1, generator=generator) for row in documents], step


PEER = "transformers BertForMaskedLM (sdpa), PyTorch's defaults"
SAME = "transformers BertForMaskedLM (sdpa), compiled, bfloat16, fused AdamW"
STEP = "the training step that reads it, ragged texts, default mode"
# Whether the texts are of unequal length, the modes, what to call it, the peer, and the target.
COMPARISONS = (
    (True, "fast", "plain", "ragged texts, default mode", PEER, 5.5),
    (False, "fast", "plain", "full rows, default mode", PEER, 2.6),
    (True, "plain", "plain", "ragged texts, eager float32", PEER, 2.0),
    (True, "fast", "fast", "ragged texts, same switches", SAME, 2.0),
)
BENCHMARKS = [
    Benchmark(
        name=f"masked training step, {label}",
        peer=peer,
        target=target,
        prepare=functools.partial(against, is_ragged, our_mode, their_mode),
        rounds=7,
    )
    for is_ragged, our_mode, their_mode, label, peer, target in COMPARISONS
] + [
    Benchmark(
        name=f"{prepare.__name__.replace('_', ' ')} of a batch", peer=STEP, target=20.0, prepare=prepare, rounds=7
    )
    for prepare in (hiding_tokens, hiding_spans)
]
