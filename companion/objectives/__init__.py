"""What pretraining asks of a model: functions on tensors of token ids, and the loss that counts every token once."""

from companion.objectives.causal import causal_labels
from companion.objectives.linear_cross_entropy import linear_cross_entropy
from companion.objectives.losses import Loss, token_loss
from companion.objectives.masking import Masked, mask_tokens, masked_positions, take_positions
from companion.objectives.sentences import Assembled, SentencePair, assemble_pair, next_sentence_pairs
from companion.objectives.spans import Corrupted, corrupt_spans, restore_spans

__all__ = [
    "Assembled",
    "Corrupted",
    "Loss",
    "Masked",
    "SentencePair",
    "assemble_pair",
    "causal_labels",
    "corrupt_spans",
    "linear_cross_entropy",
    "mask_tokens",
    "masked_positions",
    "next_sentence_pairs",
    "restore_spans",
    "take_positions",
    "token_loss",
]
