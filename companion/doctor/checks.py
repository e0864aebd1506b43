"""What this machine has, what it lacks, and what to do about it: one function a line of ``companion doctor``."""

from __future__ import annotations

import platform
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

DISTRIBUTION = "plm-companion"
FREE_GB = 2.0  # fetched data, the built site and a lab's gradings, with room to spare
INDEX_SECONDS = 20
KERNEL_SWITCHES = Path("/proc/sys")
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
# A user namespace is what the sandbox is made of. The kernel is asked in another process, so that ours stays as it is.
ASK_NAMESPACE = """
import ctypes, os, sys
CLONE_NEWUSER = 0x10000000
libc = ctypes.CDLL(None, use_errno=True)
if libc.unshare(CLONE_NEWUSER):
    sys.exit(os.strerror(ctypes.get_errno()))
"""


@dataclass(frozen=True)
class Check:
    """One line of the report.

    Parameters
    ----------
    name : str
        What was looked at.
    status : {"ok", "warning", "failed"}
        ``failed`` only where nothing of the course works without it; ``warning`` where a part does not.
    found : str
        What there is.
    remedy : str
        What to do; empty when all is well.
    """

    name: str
    status: str
    found: str
    remedy: str = ""


def check_python() -> Check:
    """Compare this Python with the range of pyproject."""
    wanted = metadata.metadata(DISTRIBUTION)["Requires-Python"]
    version = platform.python_version()
    if SpecifierSet(wanted).contains(version, prereleases=True):
        return Check("Python", "ok", f"{version} ({sys.executable})")
    return Check("Python", "failed", version, f"install Python {wanted} and make a new environment with it")


def check_companion() -> Check:
    """Report the installed version and its place."""
    found = f"{metadata.version(DISTRIBUTION)} ({Path(__file__).parents[1]})"
    return Check("companion", "ok", found)


def check_package(name: str, extra: str | None = None) -> Check:
    """Compare an installed package with pyproject's range; one that belongs to an extra may be absent."""
    wanted = _requirement(name)
    target = f"{DISTRIBUTION}[{extra}]" if extra else DISTRIBUTION
    remedy = f'pip install "{target}"'
    try:
        version = metadata.version(name)
    except metadata.PackageNotFoundError:
        return Check(name, "warning" if extra else "failed", "not installed", remedy)
    if wanted.specifier.contains(version, prereleases=True):
        return Check(name, "ok", version)
    found = f"{version}, but {wanted.specifier} is required"
    return Check(name, "failed", found, f'pip install "{name}{wanted.specifier}"')


def _requirement(name: str) -> Requirement:
    for line in metadata.requires(DISTRIBUTION) or ():
        requirement = Requirement(line)
        if requirement.name == name:
            return requirement
    raise ValueError(f"{name!r} is not a requirement of {DISTRIBUTION}")


def check_device() -> Check:
    """Say where tensors will live, and with how many threads."""
    try:
        import torch
    except ModuleNotFoundError:
        return Check("device", "failed", "unknown without torch", f'pip install "{DISTRIBUTION}"')
    from companion.device import pick_device

    try:
        device = pick_device()
    except ValueError as error:
        return Check("device", "failed", str(error), "unset COMPANION_DEVICE, or set it to a device that is here")
    chip = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine()
    threads = torch.get_num_threads()
    return Check("device", "ok", f"{device} ({chip}), {threads} thread{'s' * (threads > 1)}")


def check_network() -> Check:
    """Ask pip's own index for a package that the course fetches."""
    from companion.data import sources
    from companion.data.cache import is_offline

    if is_offline():
        return Check("network", "ok", "offline by choice (COMPANION_OFFLINE)")
    wanted = sources()[0].distribution
    command = [sys.executable, "-m", "pip", "--no-input", "--disable-pip-version-check"]
    command += ["index", "versions", wanted, "--retries", "0", "--timeout", "5"]
    try:
        answer = subprocess.run(command, capture_output=True, timeout=INDEX_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return Check("network", "warning", f"offline: no answer in {INDEX_SECONDS} s", _NETWORK_REMEDY)
    if answer.returncode == 0:
        return Check("network", "ok", "online: pip's package index answers")
    if b"No module named pip" in answer.stderr:
        return Check("network", "warning", "this Python has no pip", f"{sys.executable} -m ensurepip --upgrade")
    return Check("network", "warning", f"offline: pip finds no {wanted}", _NETWORK_REMEDY)


_NETWORK_REMEDY = "only needed to fetch data; check the connection and the index and proxy in `pip config list`"


def check_data() -> Check:
    """Say which sources are in the cache."""
    from companion.data import cache_dir, is_fetched, sources

    missing = [source.name for source in sources() if not is_fetched(source)]
    if not missing:
        return Check("data", "ok", f"all {len(sources())} sources in {cache_dir()}")
    return Check("data", "warning", f"not fetched: {', '.join(missing)}", f"companion data fetch {' '.join(missing)}")


def check_namespaces() -> Check:
    """Ask the kernel for a user namespace, as an ordinary program would."""
    name = "user namespaces"
    if sys.platform != "linux":
        return Check(name, "warning", f"not Linux ({sys.platform})", "only needed to grade: use Linux for it")
    command = [sys.executable, "-c", ASK_NAMESPACE]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    if answer.returncode == 0:
        return Check(name, "ok", "allowed")
    return Check(name, "warning", f"refused: {answer.stderr.strip()}", _namespace_remedy())


def _namespace_remedy() -> str:
    """Name the switch that forbids namespaces, where it can be found."""
    switches = {
        "kernel/unprivileged_userns_clone": ("0", "1"),
        "kernel/apparmor_restrict_unprivileged_userns": ("1", "0"),
        "user/max_user_namespaces": ("0", "15000"),
    }
    for path, (forbids, allows) in switches.items():
        file = KERNEL_SWITCHES / path
        if file.exists() and file.read_text().strip() == forbids:
            return f"only needed to grade: sudo sysctl {path.replace('/', '.')}={allows}"
    return "only needed to grade: in a container, let its seccomp profile allow unshare, or grade outside it"


def check_sandbox() -> Check:
    """Run a command in the sandbox that grading uses."""
    from companion.grading.sandbox import available

    works, reason = available()  # without a sandbox, the reason says what to do
    return Check("sandbox", "ok", reason) if works else Check("sandbox", "warning", reason, "only needed to grade")


def check_disk() -> Check:
    """Compare the free space of the cache's disk and of the current folder's with what the course needs."""
    from companion.data import cache_dir

    folders = (Path.cwd(), next(folder for folder in (cache_dir(), *cache_dir().parents) if folder.exists()))
    free, folder = min((shutil.disk_usage(folder).free / 1e9, str(folder)) for folder in folders)
    found = f"{free:.1f} GB free at {folder}"
    if free >= FREE_GB:
        return Check("disk", "ok", found)
    remedy = f"free {FREE_GB - free:.1f} GB there; COMPANION_CACHE puts the data on another disk"
    return Check("disk", "failed", f"{found}, {FREE_GB:g} GB needed", remedy)


def check_browser() -> Check:
    """Look for the headless browser of the site's tests and run it for its version."""
    found = next(filter(None, map(shutil.which, BROWSERS)), None) or _playwright_browser()
    remedy = "only needed to test the site: apt install chromium, or playwright install chromium"
    if found is None:
        return Check("browser", "warning", "no Chromium", remedy)
    try:
        answer = subprocess.run([found, "--version"], capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        return Check("browser", "warning", f"{found} does not run: {error}", remedy)
    return Check("browser", "ok", answer.stdout.strip())


def _playwright_browser() -> str | None:
    try:
        from playwright.sync_api import sync_playwright
    except ModuleNotFoundError:
        return None
    with sync_playwright() as playwright:
        path = Path(playwright.chromium.executable_path)
    return str(path) if path.exists() else None


CHECKS: tuple[Callable[[], Check], ...] = (
    check_python,
    check_companion,
    lambda: check_package("torch"),
    lambda: check_package("transformers", "labs"),
    lambda: check_package("datasets", "labs"),
    lambda: check_package("jupyter-book", "book"),
    check_device,
    check_network,
    check_data,
    check_namespaces,
    check_sandbox,
    check_disk,
    check_browser,
)
