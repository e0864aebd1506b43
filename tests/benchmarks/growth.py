"""How training time and the memory of a stream grow with the text: ``python tests/benchmarks/growth.py``.

Writes what the tokenization chapter draws: CPU seconds of one training of 8,192 merges, ours and that of
``tokenizers`` in turns on one thread, and the peak memory of a process that encodes a file as a stream.
"""

import argparse
import datetime
import json
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))  # run as a file

from rich.progress import track  # noqa: E402

from tests.benchmarks import tokenization as bench  # noqa: E402

SIZES = (1, 2, 5, 10, 20, 50)  # megabytes
STREAM = r"""
import re, sys
from pathlib import Path
from companion.tokenization import load
tokenizer = load(sys.argv[1])
with open(sys.argv[2], encoding="utf-8") as file:
    n_tokens = sum(1 for _ in tokenizer.encode_stream(file))
# Not getrusage: its maximum counts what the parent had in memory when it started this process.
print(n_tokens, int(re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())[1]) / 1024)
"""


def cpu_seconds(function, *arguments):
    """Run a function and return the CPU seconds of all threads of this process."""
    began = time.process_time()
    function(*arguments)
    return time.process_time() - began


def stream_memory(tokenizer, texts, folder):
    """Return the peak memory, in MiB, of a fresh process that encodes these texts as one stream."""
    file, saved = folder / "text.txt", folder / "tokenizer.json"
    file.write_text("\n".join(texts), encoding="utf-8")
    tokenizer.save(saved)
    command = [sys.executable, "-c", STREAM, str(saved), str(file)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return float(done.stdout.split()[1])


def measure(megabytes, folder):
    """Measure one size of text."""
    texts = bench.first_bytes(bench.mixture(), megabytes * bench.MEGABYTE)
    ours = cpu_seconds(bench.train_ours, texts)
    theirs = cpu_seconds(bench.train_theirs, texts)
    tokenizer = bench.train_ours(bench.first_bytes(bench.mixture(), bench.MEGABYTE))
    return {
        "megabytes": megabytes,
        "ours_cpu_seconds": round(ours, 2),
        "tokenizers_cpu_seconds": round(theirs, 2),
        "stream_peak_mib": round(stream_memory(tokenizer, texts, folder), 1),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "companion" / "tokenization" / "growth.json")
    out = parser.parse_args().out
    bench.train_ours(["the first run of a process is slower"])
    with tempfile.TemporaryDirectory() as folder:
        rows = [measure(size, Path(folder)) for size in track(SIZES, "megabytes")]
    content = {
        "command": "python tests/benchmarks/growth.py",
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "python": platform.python_version(),
        "merges": bench.VOCAB_SIZE - 256,
        "rows": rows,
    }
    out.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    print(out.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
