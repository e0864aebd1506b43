"""Grade a pile of submissions: some at once, each once, one verdict each."""

import hashlib
import json
import queue
import threading
import time
from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import Progress

from companion.grading import report
from companion.grading.grade import failed_verdict
from companion.grading.grader import CrashError, Grader, Task
from companion.grading.lab import Lab, load_lab
from companion.grading.notebook import UnreadableError, digest, read_bytes
from companion.grading.sandbox import SandboxError, available
from companion.grading.secret import read_secret
from companion.grading.submissions import find_submissions

# A student, the verdict, and the seconds it took.
Verdict = tuple[str, dict[str, Any], float]


@dataclass(frozen=True)
class Options:
    """What `companion grade` was asked for.

    Parameters
    ----------
    submissions
        The folder of submissions.
    lab
        The lab's name.
    seed_file
        Holds the instructor's secret.
    out
        Where the results go.
    jobs
        How many submissions are graded at once.
    timeout
        CPU seconds that one cell or one call may take.
    released
        The released notebook; found by the lab's name if None.
    grader_module
        What a grading process runs; tests put another in its place.
    """

    submissions: Path
    lab: str
    seed_file: Path
    out: Path = Path("results")
    jobs: int = 1
    timeout: float = 10.0
    released: Path | None = None
    grader_module: str = "companion.grading.grader"


def grade_all(options: Options, console: Console | None = None) -> bool:
    """Grade what is new or changed in a folder of submissions, and write all results.

    Returns
    -------
    bool
        Whether every submission has a verdict; False if the grader itself failed on some.

    Raises
    ------
    ValueError, OSError
        If the submissions, the lab, the secret or the results' folder will not do, before anything is graded.
    SandboxError
        If no sandbox can be made here.
    """
    console = console or Console(soft_wrap=True, highlight=False)
    lab = load_lab(options.lab, options.released)
    secret, warning = read_secret(options.seed_file)
    if warning:
        console.print(f"[yellow]warning:[/] {escape(warning)}")
    found = find_submissions(options.submissions, options.lab)
    console.print(f"{len(found.paths)} submissions: {found.layout}", markup=False)
    if found.passed_over:
        console.print(f"passed over: {', '.join(found.passed_over)}", markup=False)
    works, reason = available()
    if not works:
        raise SandboxError(reason)
    (options.out / "feedback").mkdir(parents=True, exist_ok=True)
    marks = report.read_marks(options.out / "manual.csv", lab)
    task = Task(options.lab, options.released, secret, options.timeout)
    results = _grade_new(found.paths, lab, task, options, console)
    _write_tables(options.out, lab, results, marks, console)
    return all(result["status"] != "error" for result in results.values())


def _grade_new(
    paths: dict[str, Path], lab: Lab, task: Task, options: Options, console: Console
) -> dict[str, dict[str, Any]]:
    """Grade what has no verdict yet; return all verdicts, old and new, by student."""
    settings = f"{lab.version} {task.secret.fingerprint()} {task.timeout:g}"
    keys = {student: _key(path, settings) for student, path in paths.items()}
    files = {student: options.out / f"{student}.json" for student in paths}
    waiting = [student for student, (_, key) in keys.items() if not _is_done(files[student], key)]
    console.print(f"{len(keys) - len(waiting)} already graded, {len(waiting)} to grade")
    verdicts = _verdicts({student: paths[student] for student in waiting}, lab, task, options)
    with Progress(console=console) as progress, closing(verdicts):
        bar = progress.add_task("grading", total=len(waiting))
        for student, verdict, seconds in verdicts:
            contents, key = keys[student]
            verdict |= {"student": student, "submission_sha256": contents, "key": key}
            report.write_result(files[student], verdict)
            _log(options.out / "log.jsonl", student, verdict["status"], seconds)
            progress.advance(bar)
    return {student: report.read_result(path) or {} for student, path in files.items()}


def _write_tables(
    out: Path, lab: Lab, results: dict[str, dict[str, Any]], marks: report.Marks, console: Console
) -> None:
    report.write_marks_to_fill_in(out / "manual.csv", lab, list(results))
    report.write_grades(out / "grades.csv", lab, results, marks)
    for student, result in results.items():
        report.write_feedback(out / "feedback" / f"{student}.md", lab, student, result, marks)
    console.print(report.table_of(lab, results, marks))
    if len(results) > report.MAX_ROWS:
        console.print(f"and {len(results) - report.MAX_ROWS} more in grades.csv")
    unmarked = sum(report.pending(lab, student, marks) > 0 for student in results)
    console.print(
        f"scores: {out / 'grades.csv'}; feedback: {out / 'feedback'}; "
        f"{unmarked} to mark by hand in {out / 'manual.csv'}",
        markup=False,
    )


def _key(path: Path, settings: str) -> tuple[str | None, str]:
    """Name a submission's contents, and all that its verdict follows from."""
    try:
        contents = digest(read_bytes(path))
    except UnreadableError as error:
        return None, hashlib.sha256(f"{error} {settings}".encode()).hexdigest()[:32]
    return contents, hashlib.sha256(f"{contents} {settings}".encode()).hexdigest()[:32]


def _is_done(path: Path, key: str) -> bool:
    earlier = report.read_result(path)
    return earlier is not None and earlier.get("key") == key and earlier.get("status") != "error"


def _verdicts(paths: dict[str, Path], lab: Lab, task: Task, options: Options) -> Generator[Verdict, None, None]:
    """Grade with several processes, and give each verdict as it comes."""
    waiting: queue.SimpleQueue[str] = queue.SimpleQueue()
    for student in paths:
        waiting.put(student)
    done: queue.SimpleQueue[Verdict] = queue.SimpleQueue()
    log_path = options.out / "grader.log"
    with log_path.open("ab") as log:
        graders = [Grader(task, log, options.grader_module) for _ in range(min(options.jobs, len(paths)))]
        threads = [threading.Thread(target=_work, args=(grader, waiting, done, paths, lab)) for grader in graders]
        for thread in threads:
            thread.start()
        try:
            for _ in paths:
                yield done.get()
        finally:
            for grader in graders:
                grader.stop()
            for thread in threads:
                thread.join()
    if log_path.stat().st_size == 0:
        log_path.unlink()


def _work(
    grader: Grader,
    waiting: queue.SimpleQueue[str],
    done: queue.SimpleQueue[Verdict],
    paths: dict[str, Path],
    lab: Lab,
) -> None:
    """Grade with one process until nothing waits, or until it is told to stop."""
    try:
        while not grader.stopped:
            student = waiting.get_nowait()
            began = time.monotonic()
            try:
                verdict = grader.grade(paths[student])
            except (CrashError, OSError, ValueError) as error:
                verdict = failed_verdict(lab, str(error))
            done.put((student, verdict, time.monotonic() - began))
    except queue.Empty:
        pass
    finally:
        grader.close()


def _log(path: Path, student: str, status: str, seconds: float) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps({"student": student, "status": status, "seconds": round(seconds, 2)}) + "\n")
