"""Behind ``companion classify``: from files and pipes to lines of JSON, with whatever is wrong told on the way."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from companion.applications.classification import Classifier
from companion.applications.files import Classified, answer, classify_file
from companion.applications.texts import LONGEST, SUFFIXES, check_source, take_texts
from companion.finetuning import LeftOut
from companion.finetuning.lines import TableError

SOME_BAD, INTERRUPTED = 3, 130
STDIN = "-"
DIGITS = 6


@dataclass(frozen=True, kw_only=True)
class Options:
    """What the command was asked."""

    model: Path
    files: tuple[Path, ...] = ()
    texts: tuple[str, ...] = ()
    column: str | None = None
    kind: str | None = None
    out: Path | None = None
    batch_size: int = 32
    has_probabilities: bool = False
    longest: int = LONGEST
    device: str | None = None

    def __post_init__(self) -> None:
        check_source(STDIN, column=self.column, kind=self.kind, longest=self.longest)
        if self.texts and (self.files or self.column or self.kind):
            raise ValueError("--text stands in place of files, so it goes with none, nor with --column and --format")
        for path in self.files:
            if str(path) != STDIN:
                self._check_file(path)

    def _check_file(self, path: Path) -> None:
        if not path.exists() or path.is_dir():
            raise FileNotFoundError(f"FILE must be a file, got {path}, {'a folder' if path.exists() else 'nothing'}")
        if self.out is not None and self.out.exists() and path.samefile(self.out):
            raise ValueError(f"--out must be another file than those that are read, got {path}")
        if self.column is not None and (self.kind or SUFFIXES.get(path.suffix.lower())) == "text":
            raise ValueError(f"--column is for tables, and every line of {path} is a text; say --format if it is one")


class Watch:
    """What a person sees: how far it is, and each bad line.

    Parameters
    ----------
    total
        Bytes to read, if that is known.
    is_shown
        Whether there is a bar.
    """

    def __init__(self, total: int | None, *, is_shown: bool) -> None:
        self.n_good, self.n_bad, self.before = 0, 0, 0
        self.console = Console(stderr=True)
        columns = BarColumn(), TextColumn("{task.description}"), TimeElapsedColumn(), TimeRemainingColumn()
        self.bar = Progress(*columns, console=self.console, transient=True) if is_shown else None
        self.task = self.bar.add_task("", total=total) if self.bar else None

    def tell(self, message: str) -> None:
        """Say something on stderr, above the bar if there is one."""
        if self.bar:
            self.console.print(message, markup=False, emoji=False, highlight=False, soft_wrap=True)
        else:
            sys.stderr.write(message + "\n")

    def count(self, is_good: bool, position: int) -> None:
        """Count a line, which ends about there in its file."""
        self.n_good, self.n_bad = self.n_good + is_good, self.n_bad + (not is_good)
        if self.bar and self.task is not None:
            self.bar.update(self.task, completed=self.before + position, description=self.counted())

    def counted(self) -> str:
        """Say how many lines there were."""
        return f"{self.n_good:,} texts classified, {self.n_bad:,} lines that hold none"

    def __enter__(self) -> Watch:
        if self.bar:
            self.bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.bar:
            self.bar.stop()


def run(options: Options) -> int:
    """Classify all that was asked, and return the exit code."""
    classifier = Classifier.load(options.model, device=options.device)
    writes_to_terminal = options.out is None and sys.stdout.isatty()
    with Watch(_size(options.files), is_shown=sys.stderr.isatty() and not writes_to_terminal) as watch:
        try:
            with _opened(options.out) as out:
                for record in _records(options, classifier, watch):
                    out.write(json.dumps(record, ensure_ascii=False).encode("utf-8", "backslashreplace") + b"\n")
                    out.flush()  # whoever reads it need not wait for more
        except KeyboardInterrupt:
            kept = "" if options.out is None else f", and are in {_part(options.out)}"
            watch.tell(f"stopped: {watch.counted()} until then{kept}")
            return INTERRUPTED
        if not options.texts:
            watch.tell(watch.counted())
    return SOME_BAD if watch.n_bad else 0


def _records(options: Options, classifier: Classifier, watch: Watch) -> Iterator[dict[str, Any]]:
    if options.texts:
        answers = answer(take_texts(options.texts), classifier, options.batch_size)
        yield from _told(answers, "--text", options, watch, lambda: 0)
        return
    files = options.files or (Path(STDIN),)
    for path in files:
        name = "stdin" if str(path) == STDIN else str(path)
        with _reading(path) as stream:
            answers = classify_file(
                stream,
                classifier,
                column=options.column,
                kind=options.kind or SUFFIXES.get(path.suffix.lower()),
                batch_size=options.batch_size,
                longest=options.longest,
            )
            where = {"file": name} if len(files) > 1 else {}
            for record in _told(answers, name, options, watch, stream.tell if name != "stdin" else lambda: 0):
                yield where | record
            watch.before += stream.tell() if name != "stdin" else 0


def _told(
    answers: Iterator[Classified | LeftOut],
    name: str,
    options: Options,
    watch: Watch,
    position: Callable[[], int],
) -> Iterator[dict[str, Any]]:
    """Make a record of each answer; a file that is no table at all has one that says so."""
    try:
        for one in answers:
            if isinstance(one, LeftOut):
                watch.tell(f"{name}: line {one.line}: {one.reason}" + (f" | {one.content}" if one.content else ""))
                yield {"line": one.line, "error": one.reason}
            else:
                yield _as_json(one, options.has_probabilities)
            watch.count(isinstance(one, Classified), position())
    except TableError as error:
        reason = f"nothing of the file is read: it {error}"
        watch.tell(f"{name}: line 1: {reason}")
        watch.count(False, position())
        yield {"line": 1, "error": reason}


def _as_json(one: Classified, has_probabilities: bool) -> dict[str, Any]:
    label, probability, shares = one.prediction
    record = {"line": one.line, "label": label, "probability": round(probability, DIGITS)}
    if has_probabilities:
        record["probabilities"] = {name: round(share, DIGITS) for name, share in shares.items()}
    return record


@contextmanager
def _reading(path: Path) -> Iterator[BinaryIO]:
    if str(path) != STDIN:
        with path.open("rb") as stream:
            yield stream
        return
    if sys.stdin.isatty():
        sys.stderr.write("reading the terminal, one text a line; Ctrl-D ends it\n")
    yield sys.stdin.buffer


@contextmanager
def _opened(path: Path | None) -> Iterator[BinaryIO]:
    """Open what is written to; a file has its name when it is whole."""
    if path is None:
        yield sys.stdout.buffer
    elif path.exists() and not path.is_file():  # such as /dev/null, which must not be replaced
        with path.open("wb") as stream:
            yield stream
    else:
        with _part(path).open("wb") as stream:
            yield stream
        _part(path).replace(path)


def _part(path: Path) -> Path:
    return path.with_name(path.name + ".part")


def _size(files: tuple[Path, ...]) -> int | None:
    if not files or any(not path.is_file() for path in files):  # a pipe has no size
        return None
    return sum(path.stat().st_size for path in files)
