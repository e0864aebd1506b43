"""A student's notebook as something to call: its cells run in the sandbox, and plain data comes out."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from companion.exercises import CallFailed, Mistake, Outcome
from companion.grading.notebook import Cell
from companion.grading.process import WALL_PER_CPU, Process, WorkerGoneError
from companion.grading.sandbox import Limits
from companion.grading.text import clean

START_SECONDS = 60.0
MAX_RESTARTS = 8
# How many times the allowance of one call a whole submission may use.
CALLS_PER_SUBMISSION = 18


class GraderError(RuntimeError):
    """Something of ours failed: no verdict on the student."""


@dataclass
class Student:
    """The sandboxed answers of one student; `close` it when done.

    Parameters
    ----------
    cells
        The student's code cells, in order.
    prelude
        Our own imports, run before them.
    timeout
        CPU seconds that one cell or one call may take.
    limits
        What the sandbox may use.
    """

    cells: list[Cell]
    prelude: str
    timeout: float
    limits: Limits = field(default_factory=Limits)
    problems: dict[int, str] = field(default_factory=dict)
    restarts: int = -1
    _left_out: set[int] = field(default_factory=set)
    _process: Process | None = None
    _processes: int = 0  # of the sandbox, when all cells had run
    _cpu_spent: float = 0.0
    _began: float = field(default_factory=time.monotonic)

    def function(self, name: str) -> Callable[[tuple, dict], Outcome]:
        """Return a stand-in for the student's function of this name, for a specification to call."""
        self._stop_if_crowded()

        def call(args: tuple, kwargs: dict) -> Outcome:
            request = {"task": "call", "function": name}
            try:
                self._start()
                reply, value = self._exchange(request, (args, tuple(kwargs.items())))
                return self._outcome(name, reply, value)
            except WorkerGoneError as gone:
                self._stop()
                raise Mistake(f"{name} gave no answer: {gone}") from None

        return call

    def _stop_if_crowded(self) -> None:
        """End a worker that an earlier answer has left other processes in: they read and answer what is not theirs."""
        if self._process is not None and self._process.count() > self._processes:
            self._stop()

    def close(self) -> None:
        """End the sandbox and everything in it."""
        self._stop()

    def _outcome(self, name: str, reply: dict[str, Any], value: Any) -> Outcome:
        match reply:
            case {"missing": True}:
                raise Mistake(f"no function named {name} is defined{self._hint()}")
            case {"unsendable": str(what)}:
                raise Mistake(f"{name} returned {clean(what)}, which is no plain tensor, number or list")
            case {"raised": [str(kind), str(message), str(where)]}:
                raise CallFailed(clean(kind), clean(message), clean(where))
        match value:
            case (returned, tuple(args_after)):
                return Outcome(returned, args_after)
        raise WorkerGoneError("it sent a reply that answers no question")

    def _hint(self) -> str:
        first = min(self.problems, default=None)
        return "" if first is None else f"; cell {first}: {self.problems[first]}"

    def _start(self) -> None:
        """Bring up a worker with all cells run, leaving out those that end it."""
        while self._process is None:
            self.restarts += 1
            if self.restarts > MAX_RESTARTS:
                raise WorkerGoneError(f"the notebook had already been restarted {MAX_RESTARTS} times")
            self._process = Process(self.limits)
            try:
                self._run_prelude()
                self._run_cells()
                self._processes = 0 if self._process is None else self._process.count()
            except BaseException:
                self._stop()
                raise

    def _run_prelude(self) -> None:
        assert self._process is not None
        try:
            reply, _ = self._process.exchange(_run(self.prelude, "prelude"), None, START_SECONDS)
        except WorkerGoneError as gone:
            raise GraderError(f"the sandbox could not load torch: {gone}") from None
        if "dropped" not in reply:
            raise GraderError(f"the lab's own imports failed in the sandbox: {clean(str(reply.get('raised')))}")
        self._cpu_spent -= self._process.cpu  # loading torch is not the student's doing

    def _run_cells(self) -> None:
        for cell in self.cells:
            if cell.number in self._left_out:
                continue
            try:
                reply, _ = self._exchange(_run(cell.source, f"cell {cell.number}"), None)
            except WorkerGoneError as gone:
                self._left_out.add(cell.number)
                self.problems[cell.number] = f"left out: {gone}"
                self._stop()
                return
            self._note(cell, reply)

    def _note(self, cell: Cell, reply: dict[str, Any]) -> None:
        match reply:
            case {"raised": [str(kind), str(message), str(where)]}:
                text = f"raised {kind}: {message}" + (f" ({where})" if where else "")
                self.problems.setdefault(cell.number, clean(text))
            case {"dropped": [str(line), *_]}:
                self.problems.setdefault(cell.number, clean(f"run without its notebook commands, such as {line}"))

    def _exchange(self, request: dict[str, Any], value: Any) -> tuple[dict[str, Any], Any]:
        assert self._process is not None
        budget = CALLS_PER_SUBMISSION * self.timeout
        left = budget - self._cpu_spent - self._process.cpu
        if left <= 0 or time.monotonic() - self._began > WALL_PER_CPU * budget + START_SECONDS * MAX_RESTARTS:
            raise WorkerGoneError(f"the notebook had already used its {budget:g} seconds")
        return self._process.exchange(request, value, min(self.timeout, left))

    def _stop(self) -> None:
        if self._process is not None:
            process, self._process = self._process, None
            self._cpu_spent += process.cpu
            process.close()


def _run(source: str, name: str) -> dict[str, Any]:
    return {"task": "run", "source": source, "name": name}
