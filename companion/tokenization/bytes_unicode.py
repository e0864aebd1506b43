"""A printable character for each byte, so that a token of any bytes can be shown, and stored as text."""

PRINTABLE = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
REST = [byte for byte in range(256) if byte not in PRINTABLE]

#: The character of each byte, in GPT-2's order: printable bytes stand for themselves, the rest come from U+0100 on,
#: so that a space is ``Ġ`` and a line feed ``Ċ``.
BYTE_TO_CHAR = {byte: chr(byte) for byte in PRINTABLE} | {byte: chr(256 + i) for i, byte in enumerate(REST)}
CHAR_TO_BYTE = {char: byte for byte, char in BYTE_TO_CHAR.items()}


def bytes_to_chars(data: bytes) -> str:
    """Write bytes in their printable characters.

    >>> bytes_to_chars(" naïve".encode())
    'ĠnaÃ¯ve'

    References
    ----------
    ``bytes_to_unicode`` in the code of Radford et al., "Language models are unsupervised multitask learners", 2019.
    """
    return "".join(map(BYTE_TO_CHAR.__getitem__, data))


def chars_to_bytes(chars: str) -> bytes:
    """Read what `bytes_to_chars` wrote.

    Raises
    ------
    ValueError
        If a character stands for no byte.
    """
    if unknown := [char for char in chars if char not in CHAR_TO_BYTE]:
        raise ValueError(
            f"chars must hold only the 256 characters that stand for bytes, got {unknown[0]!r} in {chars!r}; "
            "is this the vocabulary of a byte-level tokenizer?"
        )
    return bytes(map(CHAR_TO_BYTE.__getitem__, chars))
