"""One sandboxed process, held at arm's length: its time and memory are watched, and its end is made sure of."""

import contextlib
import json
import os
import select
import signal
import subprocess
import time
from typing import Any

import psutil

from companion.grading import codec
from companion.grading.sandbox import MB, Limits, SandboxError, command, open_filter

_LOOK_EVERY = 0.1
_CLOSING_SECONDS = 30
# A busy machine makes a good answer slow, so what counts is CPU time; an answer that sleeps is stopped by the clock.
WALL_PER_CPU = 4


class WorkerGoneError(Exception):
    """The sandboxed process has ended or has been stopped; the message says why, in words for the student."""


class Process:
    """Start a worker in the sandbox and exchange messages with it.

    Parameters
    ----------
    limits
        What the worker may use.

    Raises
    ------
    SandboxError
        If the sandbox does not start.
    """

    def __init__(self, limits: Limits):
        self._limits = limits
        self._turn = 0
        self._looked = 0.0
        self.cpu = 0.0  # CPU seconds used so far
        info, info_out = os.pipe()
        filter_fd = open_filter()
        try:
            self._process = subprocess.Popen(
                command(limits, info_out, filter_fd),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                bufsize=0,
                pass_fds=[info_out, filter_fd],
            )
        except BaseException:
            os.close(info)
            raise
        finally:
            os.close(info_out)
            os.close(filter_fd)
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._input, self._output = self._process.stdin.fileno(), self._process.stdout.fileno()
        os.set_blocking(self._input, False)
        with os.fdopen(info) as file:
            told = file.read()
        if not told:
            self._process.kill()
            self._process.wait()
            raise SandboxError("bubblewrap could not start the sandbox; `companion doctor` says more")
        # The first process of the sandbox: with it ends every other one there, and its end can be waited for.
        self._first = os.pidfd_open(json.loads(told)["child-pid"])

    def exchange(self, request: dict[str, Any], value: Any, cpu_seconds: float) -> tuple[dict[str, Any], Any]:
        """Send a request and wait for its reply.

        Raises
        ------
        WorkerGoneError
            If the worker ends, uses too much time or memory, or replies with anything but one well-formed message.
        """
        if self._first < 0:
            raise WorkerGoneError("it was stopped")
        self._turn += 1
        self._cpu_seconds = cpu_seconds
        self._began = time.monotonic()
        if self._began - self._looked >= _LOOK_EVERY:  # not each time: it costs more than a short call
            self._measure()
        self._cpu_before = self.cpu
        # A fresh number, not a count: a reply prepared in advance is then out of turn.
        turn = f"{self._turn}-{os.urandom(8).hex()}"
        self._write(codec.pack({**request, "turn": turn}, value))
        try:
            reply, result = codec.unpack(self._read)
        except codec.CodecError as error:
            raise WorkerGoneError(f"it sent {error}") from None
        if reply.get("turn") != turn:
            raise WorkerGoneError("it sent a reply that answers no question")
        return reply, result

    def count(self) -> int:
        """Count the processes of the sandbox."""
        with contextlib.suppress(psutil.NoSuchProcess):
            return len(psutil.Process(self._process.pid).children(recursive=True))
        return 0

    def close(self) -> None:
        """End every process of the sandbox, and wait until they are gone.

        Raises
        ------
        OSError
            If the kernel does not end them in time.
        """
        if self._first < 0:
            return
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._first, signal.SIGKILL)
        gone, _, _ = select.select([self._first], [], [], _CLOSING_SECONDS)
        os.close(self._first)
        self._first = -1
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()
        if not gone:
            raise OSError("a sandbox does not end although it was killed")

    def _write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            self._wait(select.POLLOUT)
            try:
                view = view[os.write(self._input, view) :]
            except BlockingIOError:
                continue
            except BrokenPipeError:
                raise WorkerGoneError(self._ending()) from None

    def _read(self, size: int) -> bytes:
        data = bytearray()
        while len(data) < size:
            self._wait(select.POLLIN)
            chunk = os.read(self._output, min(size - len(data), MB))
            if not chunk:
                raise WorkerGoneError(self._ending())
            data += chunk
        return bytes(data)

    def _wait(self, event: int) -> None:
        poll = select.poll()
        poll.register(self._output if event == select.POLLIN else self._input, event)
        while True:
            ready = poll.poll(1000 * _LOOK_EVERY)
            # Looked at even when there is always something to read: a worker may drip its reply for ever.
            if time.monotonic() - self._looked >= _LOOK_EVERY:
                self._look()
            if ready:
                return

    def _look(self) -> None:
        """Stop a worker that uses too much."""
        if self._process.poll() is not None:
            raise WorkerGoneError(self._ending())
        memory = self._measure()
        if memory > self._limits.memory:
            raise WorkerGoneError(f"it used more than {self._limits.memory // MB} MB of memory")
        most, most_by_the_clock = self._cpu_seconds, WALL_PER_CPU * self._cpu_seconds
        if self.cpu - self._cpu_before > most or self._looked - self._began > most_by_the_clock:
            # One text for both: which comes first depends on what else the machine does.
            raise WorkerGoneError(
                f"it did not finish within {most:g} seconds of computing, or {most_by_the_clock:g} by the clock"
            )

    def _measure(self) -> int:
        """Add up the CPU seconds of the sandbox's processes; return their resident bytes."""
        self._looked = time.monotonic()
        cpu, memory = 0.0, 0
        with contextlib.suppress(psutil.NoSuchProcess):
            for process in psutil.Process(self._process.pid).children(recursive=True):
                with contextlib.suppress(psutil.NoSuchProcess):
                    cpu += sum(process.cpu_times()[:4])
                    memory += process.memory_info().rss
        self.cpu = max(self.cpu, cpu)
        return memory

    def _ending(self) -> str:
        """Say how the worker ended by itself."""
        try:
            code = self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            return "it closed its connection to the grader"
        if code > 128:
            with contextlib.suppress(ValueError):
                return f"its process was ended by {signal.Signals(code - 128).name}"
        return f"its process ended (exit code {code})"
