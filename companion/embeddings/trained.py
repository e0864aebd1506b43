"""What a training gives back, and the check that it is going anywhere."""

from dataclasses import dataclass

from companion.embeddings.vectors import WordVectors


@dataclass(frozen=True)
class Trained:
    """Word vectors, and the mean loss of each epoch of their training."""

    vectors: WordVectors
    losses: list[float]


def require_descent(epoch: int, loss: float, untrained: float) -> None:
    """Raise if an epoch's loss is far above that of vectors of zeros, or not a number."""
    if not loss < 10 * untrained + 1:
        raise ValueError(
            f"learning_rate must be smaller: the training diverged in epoch {epoch + 1}, "
            f"where the mean loss was {loss:.3g}; vectors of zeros have {untrained:.3g}"
        )
