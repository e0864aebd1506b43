"""The doctor: each line's failure, made to happen, comes with its remedy; and one real run."""

import json
import os
import subprocess
import sys
from collections import namedtuple
from importlib import metadata

import pytest
from typer.testing import CliRunner

from companion.cli import app
from companion.data import sources
from companion.doctor import checks
from companion.doctor.checks import Check

NAMES = [
    *("Python", "companion", "torch", "transformers", "datasets", "jupyter-book", "device", "network", "data"),
    *("user namespaces", "sandbox", "disk", "browser"),
]


def run_doctor(*arguments):
    return CliRunner().invoke(app, ["doctor", *arguments])


@pytest.fixture
def version_of(monkeypatch):
    """Pretend that a distribution has another version, or (None) is not installed."""
    real = metadata.version

    def _version_of(wanted, version):
        def fake(name):
            if name != wanted:
                return real(name)
            if version is None:
                raise metadata.PackageNotFoundError(name)
            return version

        monkeypatch.setattr(checks.metadata, "version", fake)

    return _version_of


@pytest.fixture
def answer(monkeypatch):
    """Let every command that the doctor runs end as told."""

    def _answer(returncode=0, stdout="", stderr="", error=None):
        def fake(command, **options):
            if error:
                raise error
            is_text = options.get("text")
            out, err = (stdout, stderr) if is_text else (stdout.encode(), stderr.encode())
            if options.get("check") and returncode:
                raise subprocess.CalledProcessError(returncode, command, out, err)
            return subprocess.CompletedProcess(command, returncode, out, err)

        monkeypatch.setattr(checks.subprocess, "run", fake)

    return _answer


def test_an_old_python_is_a_failure_that_names_the_range(monkeypatch):
    monkeypatch.setattr(checks.platform, "python_version", lambda: "3.10.14")
    check = checks.check_python()
    assert (check.status, check.found) == ("failed", "3.10.14")
    assert "install Python >=3.11" in check.remedy


def test_a_package_below_its_range_is_a_failure_with_the_command(version_of):
    version_of("torch", "2.4.1")
    check = checks.check_package("torch")
    assert check == Check("torch", "failed", "2.4.1, but >=2.5 is required", 'pip install "torch>=2.5"')


def test_a_local_build_and_a_release_candidate_count_as_their_version(version_of):
    for version in ("2.13.0+cu126", "2.14.0rc1"):
        version_of("torch", version)
        assert checks.check_package("torch") == Check("torch", "ok", version)


def test_an_absent_core_package_is_a_failure_and_one_of_an_extra_a_warning(version_of):
    version_of("torch", None)
    check = Check("torch", "failed", "not installed", 'pip install "plm-companion"')
    assert checks.check_package("torch") == check
    version_of("jupyter-book", None)
    check = Check("jupyter-book", "warning", "not installed", 'pip install "plm-companion[book]"')
    assert checks.check_package("jupyter-book", "book") == check


def test_a_version_of_jupyter_book_above_the_range_is_a_failure(version_of):
    version_of("jupyter-book", "2.0.0")
    check = checks.check_package("jupyter-book", "book")
    assert check.status == "failed"
    assert check.remedy.startswith('pip install "jupyter-book')


def test_a_device_that_is_not_there_is_a_failure(monkeypatch):
    monkeypatch.setenv("COMPANION_DEVICE", "cuda:97")
    check = checks.check_device()
    assert check.status == "failed"
    assert "cuda:97" in check.found
    assert "unset COMPANION_DEVICE" in check.remedy


def test_without_torch_the_device_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    check = checks.check_device()
    assert (check.status, check.remedy) == ("failed", 'pip install "plm-companion"')


def test_an_index_that_answers_nothing_is_offline(answer, monkeypatch):
    monkeypatch.delenv("COMPANION_OFFLINE", raising=False)
    answer(1, stderr="ERROR: No matching distribution found")
    check = checks.check_network()
    assert check.status == "warning"
    assert check.found.startswith("offline")
    assert "pip config list" in check.remedy
    answer(error=subprocess.TimeoutExpired("pip", 20))
    assert checks.check_network().found == "offline: no answer in 20 s"
    answer(1, stderr="python: No module named pip")
    assert checks.check_network().remedy == f"{sys.executable} -m ensurepip --upgrade"


def test_an_index_that_is_really_unreachable_is_offline_within_the_time(monkeypatch):
    monkeypatch.delenv("COMPANION_OFFLINE", raising=False)
    for name in ("PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS", "PIP_NO_INDEX"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    assert checks.check_network().found.startswith("offline")


def test_offline_by_choice_is_well_and_asks_nobody(answer, monkeypatch):
    monkeypatch.setenv("COMPANION_OFFLINE", "1")
    answer(error=AssertionError("pip was run"))
    assert checks.check_network() == Check("network", "ok", "offline by choice (COMPANION_OFFLINE)")


def test_missing_data_come_with_the_command_that_fetches_them(monkeypatch, tmp_path):
    monkeypatch.setenv("COMPANION_CACHE", str(tmp_path))
    check = checks.check_data()
    assert check.status == "warning"
    assert check.remedy == f"companion data fetch {' '.join(source.name for source in sources())}"


def test_forbidden_namespaces_are_a_warning_with_the_kernel_s_reason(answer, monkeypatch):
    monkeypatch.setattr(checks.sys, "platform", "linux")
    answer(1, stderr="Operation not permitted\n")
    check = checks.check_namespaces()
    assert (check.status, check.found) == ("warning", "refused: Operation not permitted")
    assert check.remedy.startswith("only needed to grade")
    monkeypatch.setattr(checks.sys, "platform", "darwin")
    assert "use Linux" in checks.check_namespaces().remedy


@pytest.mark.parametrize("switch", ["unprivileged_userns_clone", "apparmor_restrict_unprivileged_userns"])
def test_the_switch_that_forbids_namespaces_is_named(switch, monkeypatch, tmp_path):
    (tmp_path / "kernel").mkdir()
    (tmp_path / "kernel" / switch).write_text("0\n" if switch.endswith("clone") else "1\n")
    monkeypatch.setattr(checks, "KERNEL_SWITCHES", tmp_path)
    assert f"sudo sysctl kernel.{switch}=" in checks._namespace_remedy()


def test_no_switch_to_blame_points_to_the_container(monkeypatch, tmp_path):
    monkeypatch.setattr(checks, "KERNEL_SWITCHES", tmp_path)
    assert "seccomp" in checks._namespace_remedy()


def test_a_sandbox_that_does_not_work_is_a_warning_with_its_reason(monkeypatch):
    from companion.grading import sandbox

    monkeypatch.setattr(sandbox, "available", lambda: (False, "bubblewrap is missing: pip install it"))
    check = Check("sandbox", "warning", "bubblewrap is missing: pip install it", "only needed to grade")
    assert checks.check_sandbox() == check


def test_a_full_disk_is_a_failure_that_says_how_much_to_free(monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(checks.shutil, "disk_usage", lambda path: usage(10e9, 9.5e9, 0.5e9))
    check = checks.check_disk()
    assert check.status == "failed"
    assert check.found.startswith("0.5 GB free at ")
    assert check.remedy.startswith("free 1.5 GB there")


def test_a_missing_or_broken_browser_is_a_warning(answer, monkeypatch):
    monkeypatch.setattr(checks, "_playwright_browser", lambda: None)
    monkeypatch.setattr(checks.shutil, "which", lambda name: None)
    check = checks.check_browser()
    assert (check.status, check.found) == ("warning", "no Chromium")
    assert "playwright install chromium" in check.remedy
    monkeypatch.setattr(checks.shutil, "which", lambda name: "/usr/bin/chromium")
    answer(1)
    assert "does not run" in checks.check_browser().found


def test_only_a_failure_makes_the_exit_code_1(monkeypatch):
    monkeypatch.setattr(checks, "CHECKS", (lambda: Check("a", "ok", "x"), lambda: Check("b", "warning", "y", "do [z]")))
    result = run_doctor()
    assert result.exit_code == 0
    assert "-> do [z]" in result.output
    monkeypatch.setattr(checks, "CHECKS", (lambda: Check("b", "failed", "y", "do z"),))
    assert run_doctor().exit_code == 1
    report = json.loads(run_doctor("--json").output)
    assert report == {"ok": False, "checks": [{"name": "b", "status": "failed", "found": "y", "remedy": "do z"}]}


def test_a_real_run_reports_every_line_and_a_remedy_for_each_that_is_not_well():
    command = [sys.executable, "-m", "companion", "doctor", "--json"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    report = json.loads(result.stdout)
    assert [check["name"] for check in report["checks"]] == NAMES
    assert all(check["found"] for check in report["checks"])
    assert all(bool(check["remedy"]) == (check["status"] != "ok") for check in report["checks"])
    assert (result.returncode == 0) == report["ok"]
