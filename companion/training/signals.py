"""Stopping politely: Ctrl-C and the signal of a machine that shuts down let the step end and the run be saved."""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType

WATCHED = ("SIGINT", "SIGTERM")


@contextlib.contextmanager
def politely(stop: Callable[[str], None]) -> Iterator[None]:
    """Call ``stop`` with the name of the first signal that asks to stop; the second one stops at once.

    Parameters
    ----------
    stop
        What to call.
    """
    if threading.current_thread() is not threading.main_thread():  # only the main one may listen
        yield
        return
    before = {name: signal.getsignal(getattr(signal, name)) for name in WATCHED if hasattr(signal, name)}

    def restore() -> None:
        for name, handler in before.items():
            signal.signal(getattr(signal, name), handler or signal.SIG_DFL)

    def handle(number: int, frame: FrameType | None) -> None:
        restore()
        stop(signal.Signals(number).name)

    for name in before:
        signal.signal(getattr(signal, name), handle)
    try:
        yield
    finally:
        restore()
