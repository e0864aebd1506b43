"""A matrix of attention weights as a picture."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from numpy.typing import ArrayLike

from companion.viz._checks import as_weights, as_words
from companion.viz.style import COLOURS, SEQUENTIAL

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def attention_heatmap(
    weights: ArrayLike,
    tokens: Sequence[str],
    *,
    query_tokens: Sequence[str] | None = None,
    title: str = "",
    digits: int | None = None,
    ax: "Axes | None" = None,
) -> "Axes":
    """Draw who looks at whom: one row a query, one column a key, darker for more weight.

    Parameters
    ----------
    weights
        Matrix (query, key) of numbers from 0 to 1.
    tokens
        A label for each key.
    query_tokens
        A label for each query; ``tokens`` by default.
    title
        What the picture shows, as a finding.
    digits
        Print each weight with so many decimals; none by default.
    ax
        Where to draw; a new figure by default.

    Returns
    -------
    Axes
        The matplotlib axes drawn on.

    Raises
    ------
    TypeError, ValueError
        If the weights are not a matrix of numbers from 0 to 1, or the labels do not fit it.
    """
    import matplotlib.pyplot as plt

    matrix = as_weights("weights", weights, ("query", "key"))
    columns = as_words("tokens", tokens, matrix.shape[1])
    name = "tokens" if query_tokens is None else "query_tokens"
    rows = as_words(name, tokens if query_tokens is None else query_tokens, matrix.shape[0])
    if ax is None:
        ax = plt.subplots()[1]
    ax.imshow(matrix, cmap=SEQUENTIAL, vmin=0, vmax=1)
    ax.set_xticks(range(len(columns)), columns, rotation=45 if max(map(len, columns)) > 3 else 0, ha="center")
    ax.set_yticks(range(len(rows)), rows)
    ax.set(xlabel="looked at (key)", ylabel="looking (query)")
    ax.set_title(title)
    if digits is not None:
        for (row, column), weight in ((index, matrix[index]) for index in _indices(matrix.shape)):
            colour = "white" if weight > 0.5 else COLOURS["ink"]
            ax.text(column, row, f"{weight:.{digits}f}", ha="center", va="center", color=colour)
    return ax


def _indices(shape: tuple[int, ...]) -> list[tuple[int, int]]:
    return [(row, column) for row in range(shape[0]) for column in range(shape[1])]
