"""The steps before Unigram's model as a ``tokenizer.json`` has them."""

from typing import Any, Literal, get_args

SPACE = "▁"  # U+2581, which stands for a space
Form = Literal["NFC", "NFD", "NFKC", "NFKD"]


def prefix_from_json(pre_tokenizer: Any) -> bool:
    """Read whether a space is put before the text.

    Raises
    ------
    ValueError
        If words are cut in another way than before each space.
    """
    match pre_tokenizer:
        case {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always" | "never" as scheme, "split": True}:
            return scheme == "always"
    raise ValueError(
        f"pre_tokenizer must be a Metaspace with {SPACE!r} that splits and prepends always or never, "
        f"got {pre_tokenizer}"
    )


def form_from_json(normalizer: Any) -> Form | None:
    """Read the normal form.

    Raises
    ------
    ValueError
        If the text is changed in another way.
    """
    match normalizer:
        case None:
            return None
        case {"type": "NFC" | "NFD" | "NFKC" | "NFKD" as form}:
            return form
    raise ValueError(f"normalizer must be none or one of {', '.join(get_args(Form))}, got {normalizer}")
