"""The parts of a ``tokenizer.json`` that a byte-level BPE is written in and read from."""

from typing import Any

from companion.tokenization.pretokenize import GPT2_PATTERN

BYTE_LEVEL = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
_UNUSED = {  # settings of the model that change the ids, and what they must be
    "dropout": (None, 0.0),
    "unk_token": (None,),
    "continuing_subword_prefix": (None, ""),
    "end_of_word_suffix": (None, ""),
    "byte_fallback": (None, False),
}


def pattern_to_json(pattern: str) -> dict[str, Any]:
    """Write the pre-tokenizer: GPT-2's pattern is built into ``tokenizers``, another one is a step before it."""
    if pattern == GPT2_PATTERN:
        return BYTE_LEVEL
    split = {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}
    return {"type": "Sequence", "pretokenizers": [split, BYTE_LEVEL | {"use_regex": False}]}


def pattern_from_json(pre_tokenizer: Any) -> str:
    """Read what `pattern_to_json` writes.

    Raises
    ------
    ValueError
        If the pre-tokenizer is another one.
    """
    match pre_tokenizer:
        case {"type": "ByteLevel", "add_prefix_space": False} if pre_tokenizer.get("use_regex", True):
            return GPT2_PATTERN
        case {
            "type": "Sequence",
            "pretokenizers": [
                {"type": "Split", "pattern": {"Regex": str(pattern)}, "behavior": "Isolated", "invert": False},
                {"type": "ByteLevel", "add_prefix_space": False, "use_regex": False},
            ],
        }:
            return pattern
    raise ValueError(
        "pre_tokenizer must be ByteLevel without add_prefix_space, after one Split by a Regex or with its own, "
        f"got {pre_tokenizer}"
    )


def merges_from_json(merges: list[Any]) -> list[tuple[str, str]]:
    """Read merges as pairs, or as older files have them, with a space between the two."""
    pairs = [tuple(merge.split(" ")) if isinstance(merge, str) else tuple(merge) for merge in merges]
    if wrong := [pair for pair in pairs if len(pair) != 2]:
        raise ValueError(f"merges must be pairs of tokens, got {wrong[0]}")
    return [(left, right) for left, right in pairs]


def special_tokens_from_json(added_tokens: list[dict[str, Any]]) -> dict[str, int]:
    """Read the special tokens.

    Raises
    ------
    ValueError
        If a token is matched in other ways than by its exact characters, or in any text.
    """
    for token in added_tokens:
        if not token.get("special") or any(token.get(flag) for flag in ("single_word", "lstrip", "rstrip")):
            raise ValueError(
                f"added_tokens must be special, without single_word, lstrip and rstrip, got {token}; other tokens "
                "change how ordinary text is encoded"
            )
    return {token["content"]: token["id"] for token in added_tokens}


def require_plain_model(content: dict[str, Any]) -> None:
    """Raise unless all settings are those of a byte-level BPE without further steps."""
    model = content["model"]
    for name, allowed in _UNUSED.items():
        if model.get(name) not in allowed:
            raise ValueError(f"model.{name} must be {allowed[0]} in a byte-level BPE, got {model[name]!r}")
    if content.get("normalizer") is not None:
        raise ValueError(f"normalizer must be null in a byte-level BPE, got {content['normalizer']}")
    if (content.get("decoder") or {}).get("type") != "ByteLevel":
        raise ValueError(f"decoder must be ByteLevel, got {content.get('decoder')}")
