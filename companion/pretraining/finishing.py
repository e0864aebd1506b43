"""From a trained model to a checkpoint's folder: weights in 16 bits, tokenizer, figures, curve and card."""

import copy
import shutil
from pathlib import Path
from typing import Any

import torch

from companion.models import PretrainedModel
from companion.pretraining.card import draw_curve, write_card
from companion.pretraining.evaluation import evaluate
from companion.pretraining.files import write_json
from companion.pretraining.names import EVALUATION, LOG, RUN, TOKENIZER, TOKENIZER_CONFIG
from companion.pretraining.presets import Preset
from companion.pretraining.texts import END, Texts

# What transformers' own class for a tokenizer.json has to be told.
SPECIAL = {
    "bpe": {"bos_token": END, "eos_token": END, "pad_token": END},
    "wordpiece": {
        "cls_token": "[CLS]",
        "sep_token": "[SEP]",
        "pad_token": "[PAD]",
        "mask_token": "[MASK]",
        "unk_token": "[UNK]",
    },
    "unigram": {"eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>"},
}


def finish(out: Path, model: Any, preset: Preset, texts: Texts) -> None:
    """Write everything of a checkpoint that is not there yet.

    The figures are those of the weights as they are stored, rounded to 16 bits.

    Parameters
    ----------
    out
        The checkpoint's folder, in which the run has its own.
    model
        The trained model.
    preset, texts
        What it was trained on.
    """
    assert isinstance(model, PretrainedModel)
    model = copy.deepcopy(model).cpu().half().eval()
    model.save_pretrained(out)
    texts.tokenizer.save(out / TOKENIZER)
    about = {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": getattr(preset.model, "max_len", 512)}
    write_json(out / TOKENIZER_CONFIG, about | SPECIAL[preset.tokenizer])
    shutil.copyfile(out / RUN / LOG, out / LOG)
    stored = model.to(torch.float32)
    n_parameters = sum(parameter.numel() for parameter in stored.parameters())
    write_json(out / EVALUATION, {"parameters": n_parameters, **evaluate(stored, preset, texts)})
    draw_curve(out)
    write_card(out)
