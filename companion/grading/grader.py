"""One grading process: it takes submissions as lines of JSON on its input, and gives each a line with its verdict.

A process of its own, so that even a crash of ours in one submission costs that one only. It ends when its input does,
and then takes its sandbox with it: nothing runs on after a batch, however the batch ended.
"""

import base64
import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
import traceback
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from companion.grading.secret import Secret

CLOSING_SECONDS = 40


@dataclass(frozen=True)
class Task:
    """What a whole batch is graded by."""

    lab: str
    released: Path | None
    secret: Secret
    timeout: float

    def to_line(self) -> str:
        """Write it for a grading process: through its input, since other users can see arguments."""
        secret = base64.b64encode(self.secret.value).decode()
        released = None if self.released is None else str(self.released)
        return json.dumps({"lab": self.lab, "released": released, "secret": secret, "timeout": self.timeout})

    @staticmethod
    def from_line(line: str) -> "Task":
        """Read what `to_line` wrote."""
        fields = json.loads(line)
        released = None if fields["released"] is None else Path(fields["released"])
        return Task(fields["lab"], released, Secret(base64.b64decode(fields["secret"])), fields["timeout"])


class CrashError(RuntimeError):
    """A grading process ended in the middle of a submission."""


@dataclass
class Grader:
    """A grading process, started when first needed and again after a crash.

    Parameters
    ----------
    task
        What to grade by.
    log
        Where its error output goes.
    module
        The module to run; another one stands in for it in tests.
    """

    task: Task
    log: IO[bytes]
    module: str = __name__
    stopped: bool = False
    _process: subprocess.Popen[str] | None = field(default=None, repr=False)

    def grade(self, path: Path) -> dict[str, Any]:
        """Grade one submission.

        Raises
        ------
        CrashError
            If the process ends before it gives a verdict.
        """
        process = self._process or self._start()
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(json.dumps(str(path)) + "\n")
            process.stdin.flush()
            line = process.stdout.readline()
        except (BrokenPipeError, ValueError):  # it has ended, or `stop` has closed its input
            line = ""
        if not line:
            self.close()
            raise CrashError(f"the grading process {_ending(process.returncode)}; see grader.log")
        return json.loads(line)

    def stop(self) -> None:
        """Tell the process to end, from another thread than the one that grades."""
        self.stopped = True
        if self._process is not None and self._process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.close()

    def close(self) -> None:
        """End the process and its sandbox, and wait until they are gone."""
        if self._process is not None:
            process, self._process = self._process, None
            assert process.stdin is not None
            with contextlib.suppress(BrokenPipeError):  # it may be gone already
                process.stdin.close()
            process.wait()
            assert process.stdout is not None
            process.stdout.close()

    def _start(self) -> subprocess.Popen[str]:
        if self.stopped:
            raise CrashError("the batch was stopped")
        # A session of its own: Ctrl-C goes to the batch alone, which then ends its graders in order.
        self._process = subprocess.Popen(
            [sys.executable, "-m", self.module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.log,
            text=True,
            start_new_session=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        assert self._process.stdin is not None
        self._process.stdin.write(self.task.to_line() + "\n")
        return self._process


def _ending(code: int) -> str:
    return f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"


def serve() -> None:
    """Answer the batch until its end of the pipe closes."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever prints goes to the log, not among the verdicts
    lines: queue.Queue[str] = queue.Queue()
    threading.Thread(target=_listen, args=(lines,), daemon=True).start()
    from companion.grading.lab import load_lab

    task = Task.from_line(lines.get())
    lab = load_lab(task.lab, task.released)
    while True:
        verdict = _try_grading(Path(json.loads(lines.get())), lab, task)
        replies.write(json.dumps(verdict) + "\n")
        replies.flush()


def _listen(lines: queue.Queue[str]) -> None:
    """Pass lines on; at the end of them interrupt the work, which closes its sandbox on the way out."""
    for line in sys.stdin:
        lines.put(line)
    # A real signal: it also wakes a main thread that waits.
    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
    time.sleep(CLOSING_SECONDS)
    os._exit(1)


def _try_grading(path: Path, lab: Any, task: Task) -> dict[str, Any]:
    from companion.grading.grade import failed_verdict, grade_submission

    try:
        return grade_submission(path, lab, task.secret, task.timeout)
    except Exception as error:
        traceback.print_exc()
        return failed_verdict(lab, f"{type(error).__name__}: {error}")


if __name__ == "__main__":
    try:
        serve()
    except KeyboardInterrupt:
        sys.exit(0)
