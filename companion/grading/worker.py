"""What runs inside the sandbox: first it gives up every right, then it runs cells and answers calls.

It imports only the standard library, torch, and `codec`, which is mounted beside it. The outside trusts nothing here:
whatever a cell does to this process, it can only change values that are judged elsewhere.
"""

import json
import linecache
import os
import pathlib
import random
import resource
import signal
import socket
import sys
import traceback
import types

MAX_TEXT = 300
MAX_MAGICS = 200


def main():
    """Give up every right, then do the task."""
    settings = json.loads(sys.argv[1])
    sys.argv[1:] = []
    drop_rights(settings["uid"])
    set_limits(settings["limits"])
    if settings["task"] == "probe":
        print(probe(settings["limits"]))
        return
    pipes = hide_pipes()
    sys.path[:0] = ["/grade"]
    sys.path.append("/site")
    serve(*pipes)


def drop_rights(uid):
    """Become an ordinary user for good, when started as root."""
    if uid is not None:
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
    os.nice(5)
    os.umask(0o077)


def set_limits(limits):
    """Lower the limits that only root could raise again."""
    limited = {
        resource.RLIMIT_AS: limits["address_space"],
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_CPU: limits["cpu_seconds"],
        resource.RLIMIT_FSIZE: limits["file_size"],
        resource.RLIMIT_MEMLOCK: 0,
        resource.RLIMIT_MSGQUEUE: 0,
        resource.RLIMIT_NOFILE: limits["open_files"],
        resource.RLIMIT_NPROC: limits["processes"],
    }
    for which, most in limited.items():
        resource.setrlimit(which, (most, most))


def hide_pipes():
    """Move the two pipes to the grader away from where programs read and print, and print to nowhere."""
    reader, writer = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    null = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(null, standard)
    os.close(null)
    # A forked copy of the worker must not answer in its place.
    os.register_at_fork(after_in_child=lambda: [os.dup2(0, pipe.fileno()) for pipe in (reader, writer)])
    return reader, writer


def serve(reader, writer):
    """Answer the grader's requests until it goes away."""
    import codec
    import torch

    torch.set_num_threads(1)
    torch.manual_seed(0)
    random.seed(0)
    main_module = types.ModuleType("__main__")
    sys.modules["__main__"] = main_module
    names = main_module.__dict__
    names["display"] = lambda *values, **options: None

    def read(size):
        data = reader.read(size)
        if len(data) < size:
            os._exit(0)  # the grader went away
        return data

    while True:
        request, value = codec.unpack(read)
        reply = {"turn": request["turn"]}
        result = None
        try:
            if request["task"] == "run":
                reply["dropped"] = run_cell(request["source"], request["name"], names)
            elif request["task"] == "call":
                if request["function"] in names:
                    args, kwargs = value
                    result = (names[request["function"]](*args, **dict(kwargs)), args)
                else:
                    reply["missing"] = True
            message = codec.pack(reply, result)
        except codec.CodecError as error:
            message = codec.pack({"turn": request["turn"], "unsendable": str(error)[:MAX_TEXT]}, None)
        except BaseException as error:
            message = codec.pack({"turn": request["turn"], "raised": describe(error)}, None)
        writer.write(message)
        writer.flush()


def run_cell(source, name, names):
    """Run one cell; return the lines left out because only a notebook understands them."""
    code, dropped = compile_cell(source, name)
    linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
    exec(code, names)  # noqa: S102 (this is what the sandbox is for)
    return dropped


def compile_cell(source, name):
    """Compile a cell, leaving out the magic and shell lines that Python refuses."""
    lines = source.splitlines()
    dropped = []
    if lines and lines[0].lstrip().startswith("%%"):
        keeps_python = lines[0].split()[0] in ("%%time", "%%timeit", "%%capture", "%%prun")
        dropped.append(lines[0][:MAX_TEXT])
        lines = ["", *lines[1:]] if keeps_python else []
    while True:
        try:
            return compile("\n".join(lines) + "\n", name, "exec"), dropped
        except SyntaxError as error:
            # Only a line that the compiler itself refuses: `% b` may also continue an expression.
            at = (error.lineno or 0) - 1
            if not 0 <= at < len(lines) or len(dropped) >= MAX_MAGICS or not is_magic(lines[at]):
                raise
            dropped.append(lines[at].strip()[:MAX_TEXT])
            lines[at] = lines[at][: len(lines[at]) - len(lines[at].lstrip())] + "pass"


def is_magic(line):
    """Tell a line of IPython from a line of Python with a mistake."""
    start = line.strip()
    assigned = start.partition("=")[2].strip()
    return start.startswith(("%", "!", "?")) or start.endswith("?") or assigned.startswith(("%", "!"))


def describe(error):
    """Say in plain text what was raised, and at which line of which cell."""
    try:
        message = str(error)[:MAX_TEXT]
    except BaseException:
        message = "(its message cannot be printed)"
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename.startswith("cell ")]
    where = f"line {frames[-1].lineno} of {frames[-1].filename}: {frames[-1].line}"[:MAX_TEXT] if frames else ""
    return [type(error).__name__[:MAX_TEXT], message, where]


def probe(limits):
    """Try what must be impossible; return "ok", or what was possible after all."""
    if os.getuid() == 0 or os.geteuid() == 0 or can(lambda: os.setuid(0)):
        return "the worker can be root"
    if can(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).connect(("192.0.2.1", 9))):
        return "the network is reachable"
    if can(lambda: os.memfd_create("probe")):
        return "system calls are not filtered"
    if any(map(os.path.exists, ("/bin/sh", "/etc/passwd", "/proc/1", "/sys/kernel", "/var"))):
        return "files of the host can be seen"
    if can(pathlib.Path("/grade/probe").mkdir) or not can(pathlib.Path("/work/probe").mkdir):
        return "the writable places are not the intended ones"
    return "ok" if processes_are_limited(limits["processes"]) else "the number of processes is not limited"


def can(action):
    """Tell whether an action succeeds."""
    try:
        action()
    except (OSError, ValueError):
        return False
    return True


def processes_are_limited(most):
    """Fork until refused, at most once more than allowed."""
    children = []
    try:
        for _ in range(most + 1):
            child = os.fork()
            if child == 0:
                signal.pause()
            children.append(child)
    except OSError:
        return True
    finally:
        for child in children:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
    return False


if __name__ == "__main__":
    main()
