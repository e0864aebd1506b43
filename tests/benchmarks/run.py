"""Run the benchmarks: ``python tests/benchmarks/run.py [--only NAME] [--quick] [--list]``."""

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))  # run as a file, and sharing the tests' tables of weights

import torch  # noqa: E402
from rich.progress import MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn  # noqa: E402

from tests.benchmarks import attention, decoding, embeddings, masked, tokenization, training  # noqa: E402
from tests.benchmarks.measure import markdown, merge, run, summarise  # noqa: E402

MODULES = (tokenization, embeddings, attention, decoding, training, masked)
BENCHMARKS = [benchmark for module in MODULES for benchmark in module.BENCHMARKS]
ROUNDS, QUICK_ROUNDS = 11, 3


def arguments(argv):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", metavar="NAME", default="", help="only benchmarks whose name contains NAME")
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_ROUNDS} rounds instead of {ROUNDS}")
    parser.add_argument("--list", action="store_true", help="say what there is, and run nothing")
    parser.add_argument("--out", type=Path, default=ROOT / "_build" / "bench.json", help="where the results go")
    return parser.parse_args(argv)


def main(argv=None):
    """Measure what was asked for, print the table, and add it to the results; return the exit status."""
    options = arguments(argv)
    chosen = [b for b in BENCHMARKS if options.only.lower() in b.name.lower()]
    if not chosen:
        print(f"no benchmark's name contains {options.only!r}; --list shows them", file=sys.stderr)
        return 2
    if options.list:
        print("\n".join(b.name for b in chosen))
        return 0
    torch.set_num_threads(1)
    rounds = QUICK_ROUNDS if options.quick else ROUNDS
    columns = TextColumn("{task.description}"), MofNCompleteColumn(), TextColumn("rounds"), TimeElapsedColumn()
    results = {}
    with Progress(*columns) as progress:
        for benchmark in chosen:
            task = progress.add_task(benchmark.name, total=rounds)
            times = run(benchmark, rounds, progress=lambda task=task: progress.advance(task))
            results[benchmark.name] = summarise(benchmark, times)
            merge(options.out, results)
    print(markdown(results))
    return 0


if __name__ == "__main__":
    sys.exit(main())
