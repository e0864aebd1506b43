"""Running a notebook and keeping what its checked cells print."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

from nbformat import NotebookNode

from companion.publish.convert import code_cells, code_hash, is_checked

CELL_TIMEOUT = 300
# nbval compares every kind of output but pictures, so a checked cell may show these beside its text.
PICTURES = {"image/png", "image/jpeg"}


class ExecutionFailedError(RuntimeError):
    """A notebook's cell raised, hung, or printed what cannot be compared."""


Progress = Callable[[int, int], None]


def execute(notebook: NotebookNode, folder: Path, name: str, progress: Progress) -> None:
    """Run a notebook as its readers do and store its checked outputs in it.

    Parameters
    ----------
    notebook
        Changed in place: checked cells keep their text, all others lose what they showed.
    folder
        Where its kernel runs: the folder the notebook stands in.
    name
        What to call it in messages.
    progress
        Called with the number of code cells that were run and their total.

    Raises
    ------
    ExecutionFailedError
        When a cell fails, or a checked cell prints nothing or what cannot be compared; the message names it.
    """
    run_cells(notebook, folder, name, progress, book_build=False)
    for cell in code_cells(notebook):
        _keep_checked(cell, name)
    notebook.metadata.language_info = {"name": "python"}
    notebook.metadata.companion.code_hash = code_hash(notebook)


def run_cells(notebook: NotebookNode, folder: Path, name: str, progress: Progress, *, book_build: bool) -> None:
    """Run a notebook's cells in place with this interpreter; `book_build` tells them that the site is being built.

    Raises
    ------
    ExecutionFailedError
        When a cell raises or hangs, or the kernel dies.
    """
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

    total, run = len(code_cells(notebook)), 0
    running = notebook.cells[0]

    def started(cell: NotebookNode, cell_index: int) -> None:
        nonlocal running
        running = cell

    def finished(**_: object) -> None:
        nonlocal run
        run += 1
        progress(run, total)

    client = NotebookClient(
        notebook,
        km=kernel_manager(),
        timeout=CELL_TIMEOUT,
        resources={"metadata": {"path": str(folder)}},
        on_cell_execute=started,
        on_cell_executed=finished,
        record_timing=False,
    )
    environment = {key: value for key, value in os.environ.items() if key != "BOOK_BUILD"}
    if book_build:
        environment["BOOK_BUILD"] = "1"
    folder.mkdir(parents=True, exist_ok=True)
    try:
        client.execute(env=environment, cleanup_kc=True)  # the kernel must not outlive its notebook
    except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
        raise ExecutionFailedError(describe_failure(name, running, error)) from error
    # Live widgets mean nothing without their kernel. (nbclient's own switch for this breaks ipywidgets.interact.)
    notebook.metadata.pop("widgets", None)


def kernel_manager():
    """Return a manager whose kernel is this interpreter, whatever kernels are registered on the machine."""
    from ipykernel.kernelspec import RESOURCES, get_kernel_dict
    from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
    from jupyter_client.manager import AsyncKernelManager

    class ThisInterpreter(KernelSpecManager):
        def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
            return KernelSpec(resource_dir=str(RESOURCES), **get_kernel_dict(["--log-level=ERROR"]))

    return AsyncKernelManager(kernel_spec_manager=ThisInterpreter())


def describe_failure(name: str, cell: NotebookNode, error: Exception) -> str:
    """Say which cell of which notebook failed, how it starts and how its traceback ends."""
    traceback = re.sub(r"\x1b\[[\d;]*m", "", str(error)).strip().splitlines()
    source = cell.source.splitlines()
    excerpt = [*source[:6], *(["..."] if len(source) > 6 else [])]
    indented = "\n".join(f"    {line}" for line in excerpt)
    ending = "\n".join(f"    {line}" for line in traceback[-6:])
    return f"{name}: cell {cell.id!r} failed.\n{indented}\n  It ended with:\n{ending}"


def _keep_checked(cell: NotebookNode, name: str) -> None:
    if not is_checked(cell):
        cell.outputs, cell.execution_count = [], None
        return
    outputs = [_text_only(output, cell, name) for output in cell.outputs]
    cell.outputs = [output for output in outputs if output is not None]
    if not cell.outputs:
        raise ExecutionFailedError(f"{name}: cell {cell.id!r} is tagged nbval-check-output but prints nothing.")


def _text_only(output: NotebookNode, cell: NotebookNode, name: str) -> NotebookNode | None:
    if output.output_type == "stream":
        if output.name == "stderr":
            raise ExecutionFailedError(
                f"{name}: cell {cell.id!r} is tagged nbval-check-output and writes to stderr: {output.text.strip()!r}"
            )
        return output
    other = output.data.keys() - PICTURES - {"text/plain"}
    if other:
        raise ExecutionFailedError(
            f"{name}: cell {cell.id!r} is tagged nbval-check-output and shows {', '.join(sorted(other))}. "
            "Print its facts in a cell of their own and tag that one: only text is stored and compared."
        )
    if "text/plain" not in output.data:
        return None
    output.data = {"text/plain": output.data["text/plain"]}
    output.metadata = {}
    return output


def reuse_outputs(notebook: NotebookNode, stored: NotebookNode) -> bool:
    """Copy the stored outputs into a notebook with the same code; tell whether that was possible."""
    known = stored.metadata.get("companion", {}).get("code_hash")
    if known != code_hash(notebook) or known != code_hash(stored):
        return False
    for cell, old in zip(code_cells(notebook), code_cells(stored), strict=True):
        if is_checked(cell) and not old.outputs:
            return False
        cell.outputs, cell.execution_count = old.outputs, old.execution_count
    notebook.metadata.companion.code_hash = known
    return True
