"""The instructor's secret: hidden inputs are drawn from it, and it is written nowhere."""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

MIN_CHARACTERS = 8
MAX_BYTES = 1 << 16
_READABLE_BY_OTHERS = 0o044


@dataclass(frozen=True)
class Secret:
    """The instructor's secret; printing it shows nothing."""

    value: bytes = field(repr=False)

    def seed(self, slug: str, exercise: str) -> int:
        """Derive the seed of one exercise: the same for every student, and no clue to another's."""
        key = hashlib.sha256(self.value).digest()
        return int.from_bytes(hashlib.blake2b(f"{slug}/{exercise}".encode(), key=key, digest_size=8).digest()) >> 1

    def fingerprint(self) -> str:
        """Name the secret so that a changed one is noticed; too slow to try out many guesses."""
        return hashlib.scrypt(self.value, salt=b"companion grade", n=1 << 14, r=8, p=1, dklen=16).hex()


def read_secret(path: Path) -> tuple[Secret, str | None]:
    """Read the secret, and say if others can read it too.

    Returns
    -------
    tuple of Secret and str or None
        The secret, and a warning to print.

    Raises
    ------
    ValueError
        If the file holds too little or too much.
    OSError
        If it cannot be read.
    """
    if not path.is_file():
        raise FileNotFoundError(
            f"seed file {path} is not there: write a secret of {MIN_CHARACTERS} characters or more to it, and keep it"
        )
    with path.open("rb") as file:
        data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise ValueError(f"seed file {path} is larger than {MAX_BYTES >> 10} kB: a secret is a line of text")
    length = len(b"".join(data.split()))
    if length < MIN_CHARACTERS:
        raise ValueError(f"seed file {path} holds {length} characters, expected {MIN_CHARACTERS} or more")
    warning = None
    if path.stat().st_mode & _READABLE_BY_OTHERS:
        warning = f"seed file {path} can be read by other users of this machine: chmod 600 {path}"
    return Secret(data.strip()), warning
