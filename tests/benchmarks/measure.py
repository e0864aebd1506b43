"""Measure ours against a peer: interleaved in one process, in CPU seconds, as a ratio with its spread.

Times of different runs, or of different minutes of a busy machine, cannot be compared. So each round times both, in
alternating order, and only the ratio of the two times of a round counts.
"""

import json
import math
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

UNIT = "peer's CPU seconds / ours"
MEMORY = "peer's peak memory / ours"
SHORTEST = 0.05  # seconds a measurement takes at least, by repeating: well above the clock's grain


@dataclass(frozen=True, kw_only=True)
class Benchmark:
    """Ours against one peer at one size.

    ``prepare`` makes both, asserts that they compute the same, and returns them as two functions to be timed; or, for
    memory, as two functions that return how much they took. ``rounds`` is for what takes seconds a round.
    """

    name: str
    peer: str
    target: float
    prepare: Callable[[], tuple[Callable[[], Any], Callable[[], Any]]]
    unit: str = UNIT
    rounds: int | None = None


@dataclass(frozen=True, kw_only=True)
class Result:
    """How many times as long the peer takes: the median over the rounds, and the 10% and 90% quantiles."""

    peer: str
    ratio: float
    low: float
    high: float
    target: float
    unit: str = UNIT


def cpu_seconds(function, repeats):
    """Time ``repeats`` calls; return the mean."""
    start = time.process_time()
    for _ in range(repeats):
        function()
    return (time.process_time() - start) / repeats


def interleave(ours, theirs, rounds, progress=lambda: None):
    """Return each round's two times, after one round that does not count."""
    repeats = [max(1, math.ceil(SHORTEST / max(cpu_seconds(f, 1), 1e-9))) for f in (ours, theirs)]
    times = []
    for i in range(rounds):
        first_theirs = cpu_seconds(theirs, repeats[1]) if i % 2 else None
        mine = cpu_seconds(ours, repeats[0])
        times.append((mine, cpu_seconds(theirs, repeats[1]) if first_theirs is None else first_theirs))
        progress()
    return times


def run(benchmark, rounds, progress=lambda: None):
    """Measure a benchmark in so many rounds at most; memory, which repeats itself, once."""
    ours, theirs = benchmark.prepare()
    if benchmark.unit == MEMORY:
        return [(ours(), theirs())]
    return interleave(ours, theirs, min(rounds, benchmark.rounds or rounds), progress)


def summarise(benchmark, times):
    """Turn the rounds' pairs (ours, theirs) of times or bytes into a result."""
    ratios = [theirs / ours for ours, theirs in times]
    deciles = statistics.quantiles(ratios, n=10, method="inclusive") if len(ratios) > 1 else ratios
    return Result(
        peer=benchmark.peer,
        ratio=round(statistics.median(ratios), 3),
        low=round(deciles[0], 3),
        high=round(deciles[-1], 3),
        target=benchmark.target,
        unit=benchmark.unit,
    )


def markdown(results):
    """Lay results out as a Markdown table."""
    lines = ["| benchmark | peer | ratio | low | high | target | met |", "|---|---|---:|---:|---:|---:|---|"]
    for name, r in results.items():
        met = "yes" if r.ratio >= r.target else "no"
        lines.append(f"| {name} | {r.peer} | {r.ratio:.2f} | {r.low:.2f} | {r.high:.2f} | {r.target:.2f} | {met} |")
    return "\n".join(lines)


def merge(path: Path, results):
    """Write the results into the file, keep those of benchmarks that were not run, and never leave half a file."""
    kept = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    kept |= {name: asdict(result) for name, result in results.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False, encoding="utf-8") as file:
        json.dump(kept, file, indent=2, sort_keys=True)
        file.write("\n")
    Path(file.name).replace(path)
