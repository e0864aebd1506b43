"""FLAN-T5 small, out of two quantised ONNX graphs into a folder as the hub has one.

The package carries the encoder and the decoder for one program's runtime: 8-bit integers with a scale for each
matrix, and matrices named by a counter. Which one a matrix is, is said only by the operation that multiplies by it, as
in ``/enc/block.0/layer.0/SelfAttention/q/MatMul_quant``.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from companion.data.conversion.onnx_file import read_onnx
from companion.data.errors import DataError

if TYPE_CHECKING:
    import numpy as np

FLAN_T5_FILES = ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json")
MULTIPLICATION = re.compile(r"/(?P<part>enc|m/decoder|m)/(?P<path>.+)/MatMul(?:_\d+)?_quant")
PARTS = {"enc": "encoder.", "m/decoder": "decoder.", "m": ""}
EMBEDDING, ENCODER_EMBEDDING = "shared.weight", "encoder.embed_tokens.weight"
LAYERS, HEADS, FEATURES, HEAD_FEATURES, HIDDEN = 8, 6, 512, 64, 1024
VOCABULARY = 32_128
PAD, END, UNKNOWN = 0, 1, 2


def convert_flan_t5(source: Path, target: Path) -> None:
    """Read ``encoder.onnx``, ``decoder.onnx`` and ``tokenizer.json`` and write config, weights and tokenizer.

    The weights are written in 16 bits: an 8-bit integer times its scale has no more digits than that. Libraries are
    told to compute in 32, since the activations of T5 are known to overflow 16.

    Raises
    ------
    DataError
        When the graphs are damaged, or are not those of this model.
    """
    from safetensors.numpy import save_file

    weights = _weights(source / "encoder.onnx") | _weights(source / "decoder.onnx")
    copy = weights.pop(ENCODER_EMBEDDING, None)
    embedding = weights.get(EMBEDDING)
    if copy is None or embedding is None or not (copy == embedding).all():
        raise DataError("the encoder and the decoder of flan_t5_small must embed tokens alike; fetch it again")
    if embedding.shape != (VOCABULARY, FEATURES) or "lm_head.weight" not in weights:
        raise DataError("the graphs of flan_t5_small are not those of the pinned package; fetch it again")
    save_file(weights, target / "model.safetensors", metadata={"format": "pt"})
    (target / "model.safetensors").chmod(0o644)  # the library writes it for its owner alone
    _write_json(target / "config.json", _config())
    tokenizer = json.loads((source / "tokenizer.json").read_text("utf8"))
    # The program that they were meant for cuts every text to 48 tokens.
    _write_json(target / "tokenizer.json", tokenizer | {"truncation": None, "padding": None})
    _write_json(target / "tokenizer_config.json", _tokenizer_config())


def _weights(path: Path) -> dict[str, np.ndarray]:
    """Read a graph's weights under the names that transformers gives them."""
    stored, nodes = read_onnx(path)
    found = {
        _plain(name.removesuffix("_quantized")): _dequantised(stored, name.removesuffix("_quantized"))
        for name in stored
        if name.endswith("_quantized") and not name.startswith("onnx::")
    }
    found |= {_plain(name): stored[name] for name in stored if name.endswith("layer_norm.weight")}
    for node in nodes:
        if node.operation == "MatMulInteger" and (match := MULTIPLICATION.fullmatch(node.name)):
            (name,) = (one for one in node.inputs if one in stored and one.endswith("_quantized"))
            key = f"{PARTS[match['part']]}{match['path'].replace('/', '.')}.weight"
            # A graph multiplies by (in, out), and a linear layer stores (out, in).
            found[key] = _dequantised(stored, name.removesuffix("_quantized")).T.copy()
    return found


def _plain(name: str) -> str:
    return re.sub(r"^m\.", "", re.sub(r"^enc\.", "encoder.", name))


def _dequantised(stored: dict[str, np.ndarray], name: str) -> np.ndarray:
    scale, zero = stored[f"{name}_scale"], stored[f"{name}_zero_point"]
    return ((stored[f"{name}_quantized"].astype("f4") - zero.astype("f4")) * scale).astype("f2")


def _config() -> dict[str, Any]:
    return {
        "architectures": ["T5ForConditionalGeneration"],
        "model_type": "t5",
        "d_model": FEATURES,
        "d_kv": HEAD_FEATURES,
        "d_ff": HIDDEN,
        "num_heads": HEADS,
        "num_layers": LAYERS,
        "num_decoder_layers": LAYERS,
        "vocab_size": VOCABULARY,
        "feed_forward_proj": "gated-gelu",
        "relative_attention_num_buckets": 32,
        "relative_attention_max_distance": 128,
        "layer_norm_epsilon": 1e-6,
        "dropout_rate": 0.1,
        "tie_word_embeddings": False,
        "decoder_start_token_id": PAD,
        "pad_token_id": PAD,
        "eos_token_id": END,
        "is_encoder_decoder": True,
        "dtype": "float32",
        "torch_dtype": "float32",  # as transformers before version 5 called it
    }


def _tokenizer_config() -> dict[str, Any]:
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "pad_token": "<pad>",
        "eos_token": "</s>",
        "unk_token": "<unk>",
        "model_max_length": 512,
        "model_input_names": ["input_ids", "attention_mask"],  # not every version leaves segments out by itself
        "clean_up_tokenization_spaces": False,
    }


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
