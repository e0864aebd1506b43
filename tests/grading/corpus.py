"""Submissions of the attention lab, honest and hostile, each with the score it must get."""

import copy
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import jupytext

NAMES = (
    "softmax",
    "scaled_dot_product_attention",
    "causal_mask",
    "padding_mask",
    "multi_head_attention",
    "cache_step",
)
RIGHT = (2, 4, 2, 2, 5, 4)
NO_CAUSAL_MASK = (2, 4, 0, 2, 5, 4)
NOTHING = (0,) * 6


@dataclass(frozen=True)
class Submission:
    """A file as handed in, the score of each exercise, and what the feedback must say."""

    data: bytes
    scores: tuple[int, ...]
    says: dict[str, str]
    hostile: bool = True


class Lab:
    """The lab as released, and its solutions."""

    def __init__(self, released: Path, source: Path):
        self.notebook = json.loads(released.read_text(encoding="utf-8"))
        solved = jupytext.read(source)
        self.solutions = {}
        for cell in solved.cells:
            grade_id = cell.metadata.get("nbgrader", {}).get("grade_id")
            if cell.cell_type == "code" and grade_id in NAMES:
                self.solutions[grade_id] = cell.source

    def solved(self, **answers: str) -> dict:
        """Fill in the solutions, except for the answers given here."""
        notebook = copy.deepcopy(self.notebook)
        for cell in notebook["cells"]:
            name = grade_id(cell)
            if name in NAMES:
                cell["source"] = answers.get(name, self.solutions[name])
        return notebook


def grade_id(cell: dict) -> str | None:
    """Return the name that nbgrader knows a cell by."""
    return cell["metadata"].get("nbgrader", {}).get("grade_id")


def code(source: str) -> dict:
    """Write a cell of the student's own."""
    return {"cell_type": "code", "metadata": {}, "source": source, "outputs": [], "execution_count": None}


def dump(notebook: dict) -> bytes:
    """Write a notebook as Jupyter does."""
    return json.dumps(notebook, indent=1, ensure_ascii=False).encode()


CAUSAL = "    return torch.ones(n_query, n_key, dtype=torch.bool).tril(n_key - n_query)\n"


def causal(before: str = "", inside: str = "", after: str = CAUSAL) -> str:
    """Write a causal_mask that does something else as well."""
    lines = "".join(f"    {line}\n" for line in inside.splitlines())
    return f"{before}\ndef causal_mask(n_query, n_key):\n{lines}{after}"


def every(body: str) -> dict[str, str]:
    """Give every exercise the same body."""
    return {name: f"def {name}(*args, **kwargs):\n    {body}\n" for name in NAMES}


def build(lab: Lab, forbidden: list[Path], port: int) -> dict[str, Submission]:
    """Make the corpus.

    Parameters
    ----------
    lab
        The lab that is answered.
    forbidden
        Files and folders of this machine that an answer must not see.
    port
        A port of this machine where something listens.
    """
    found: dict[str, Submission] = {}

    def add(name: str, data: dict | bytes, scores: tuple[int, ...], hostile: bool = True, **says: str) -> None:
        found[name] = Submission(data if isinstance(data, bytes) else dump(data), scores, says, hostile)

    def with_causal(name: str, source: str, scores: tuple[int, ...] = NO_CAUSAL_MASK, **says: str) -> None:
        add(name, lab.solved(causal_mask=source), scores, **says)

    def with_cells(name: str, *sources: str, scores: tuple[int, ...] = RIGHT) -> None:
        notebook = lab.solved()
        notebook["cells"][2:2] = [code(source) for source in sources]
        add(name, notebook, scores)

    add_honest(lab, add)
    add_files(lab, add)
    add_edited(lab, add)
    add_greedy(with_causal, with_cells)
    add_cheats(lab, add, with_causal)
    add_spies(with_cells, forbidden, port)
    return found


def add_honest(lab: Lab, add: Callable) -> None:
    """Add what most students hand in."""
    add("right", lab.solved(), RIGHT, hostile=False)
    partly = lab.solved(
        causal_mask=causal(after="    return torch.ones(n_query, n_key, dtype=torch.bool).tril()\n"),
        padding_mask="def padding_mask(lengths, max_len):\n"
        "    return (torch.arange(max_len) <= lengths[:, None])[:, None, None]\n",
    )
    add("partly right", partly, (2, 4, 0, 0, 5, 4), hostile=False, causal_mask="last", padding_mask="one")
    add("empty", lab.notebook, NOTHING, hostile=False, softmax="not implemented yet")
    one_line = {
        "softmax": "softmax = torch.softmax\n",
        "scaled_dot_product_attention": "import torch.nn.functional as F\n"
        "def scaled_dot_product_attention(query, key, value, mask=None):\n"
        "    out = F.scaled_dot_product_attention(query, key, value, attn_mask=mask)\n"
        "    return out if mask is None else out.masked_fill(~mask.any(-1, keepdim=True), 0)\n",
    }
    magics = lab.solved(**one_line)
    magics["cells"].insert(3, code("%matplotlib inline\n!pip install torch\nx = 7\nif x:\n    %time x\ny = (x\n  % 2)"))
    magics["cells"].append(code("%%bash\nrm -rf /"))
    add("uses torch and magics", magics, RIGHT, hostile=False)
    syntax = lab.solved(causal_mask="def causal_mask(n_query, n_key)\n    return None\n")
    add("syntax error", syntax, NO_CAUSAL_MASK, hostile=False, causal_mask="SyntaxError")


def add_files(lab: Lab, add: Callable) -> None:
    """Add files that are no notebook, or only part of one."""
    right = dump(lab.solved())
    add("truncated", right[: len(right) // 2], NOTHING, softmax="breaks off")
    add("not utf8", right.replace(b"Lab: attention", "Übung".encode("latin-1")), NOTHING, softmax="UTF-8")
    add("utf16", right.decode().encode("utf-16"), NOTHING, softmax="UTF-8")
    add("zero bytes", b"", NOTHING, softmax="empty")
    add("login page", b"<!DOCTYPE html><title>Please log in</title>", NOTHING, softmax="not JSON")
    add("json list", b"[1, 2]", NOTHING, softmax="not a notebook")
    add("old format", b'{"nbformat": 3, "worksheets": [{"cells": []}]}', NOTHING, softmax="format 4")
    add("deep json", b'{"cells": ' + b"[" * 200_000, NOTHING, softmax="not a notebook")
    add("no cells", b'{"cells": [], "nbformat": 4}', NOTHING, softmax="no function named softmax")
    add("wrong source", b'{"cells": [{"cell_type": "code", "source": {"a": 1}}]}', NOTHING, softmax="not text")
    add("too large", right[:-1] + b" " * (21 << 20) + b"}", NOTHING, softmax="larger than 20 MB")


def add_edited(lab: Lab, add: Callable) -> None:
    """Add notebooks whose structure was changed."""
    deleted = lab.solved()
    deleted["cells"] = [each for each in deleted["cells"] if not (grade_id(each) or "").startswith("check_")]
    add("deleted checks", deleted, RIGHT)
    edited = lab.solved()
    for cell in edited["cells"]:
        if (grade_id(cell) or "").startswith("check_"):
            cell["source"] = "softmax = causal_mask = None\nscore = 100\nraise SystemExit"
    add("edited checks", edited, RIGHT)
    stripped = lab.solved()
    for cell in stripped["cells"]:
        cell["metadata"] = {}
        cell.pop("id", None)
    add("stripped metadata", stripped, RIGHT)
    for name, sources, scores in (
        ("duplicate wrong last", (lab.solutions["causal_mask"], causal(after="    return 1\n")), NO_CAUSAL_MASK),
        ("duplicate right last", (causal(after="    return 1\n"), lab.solutions["causal_mask"]), RIGHT),
    ):
        notebook = lab.solved()
        at = next(i for i, cell in enumerate(notebook["cells"]) if grade_id(cell) == "causal_mask")
        notebook["cells"][at : at + 1] = [{**notebook["cells"][at], "source": source} for source in sources]
        add(name, notebook, scores)


def add_greedy(with_causal: Callable, with_cells: Callable) -> None:
    """Add answers that take more than their share, or do not end."""
    with_causal("infinite loop", causal(inside="while True:\n    pass"), causal_mask="did not finish")
    with_cells("infinite loop at the top", "while True:\n    pass")
    ignoring = (
        "import signal\nfor each in (signal.SIGINT, signal.SIGTERM, signal.SIGALRM, signal.SIGXCPU):\n"
        "    signal.signal(each, signal.SIG_IGN)\nwhile True:\n    try:\n        while True: pass\n"
        "    except BaseException:\n        pass"
    )
    with_causal("ignores signals", causal(inside=ignoring), causal_mask="did not finish")
    with_causal("sleeps", causal(inside="import time\ntime.sleep(1e6)"), causal_mask="did not finish")
    with_cells(
        "prints 50 MB", "import sys\nfor _ in range(50):\n    print('x' * (1 << 20))\n    sys.stderr.write('y' * 9)"
    )
    with_causal("asks for 20 GB", causal(inside="x = torch.ones(5 << 30)"), causal_mask="allocate")
    with_causal(
        "takes 3 GB in nine processes",  # to fill that much anew may take a busy machine longer than a call may
        causal(
            before="import os, time",
            inside="x = bytearray(b'x') * (350 << 20)\n"
            "for _ in range(8):\n    os.fork() or time.sleep(1e6)\ntime.sleep(1e6)",
        ),
        causal_mask="MB of memory",
    )
    with_causal("fork bomb", causal(before="import os", inside="while True:\n    os.fork()"))
    with_causal(
        "stubborn fork bomb",
        causal(
            before="import os, time",
            inside="while True:\n    try:\n        os.fork()\n    except OSError:\n        time.sleep(0.01)",
        ),
    )
    with_causal(
        "writes 10 GB",
        causal(
            inside="with open('/work/big', 'wb') as f:\n    for _ in range(10_000):\n        f.write(b'x' * (1 << 20))"
        ),
        causal_mask="OSError",
    )
    with_causal("exits", causal(inside="import os\nos._exit(0)"), causal_mask="ended")
    with_cells("exits politely", "import sys\nsys.exit('done')", "quit()")
    with_causal(
        "overflows the stack",
        causal(inside="import sys\nsys.setrecursionlimit(10**9)\nf = lambda *a: max([0], key=f)\nf()"),
        causal_mask="SIGSEGV",
    )
    with_causal(
        "kills all it can",
        causal(
            before="import os",
            inside="for pid in (1, -1):\n    try:\n        os.kill(pid, 9)\n    except OSError:\n        pass",
        ),
        RIGHT,
    )
    with_cells(
        "leaves a daemon",
        "import os, time\nif os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0:\n        while True:\n"
        "            time.sleep(1)\n    os._exit(0)",
    )


FAKE = """
class Fake:
    shape, dtype, ndim = (2, 3), torch.bool, 2
    @classmethod
    def __torch_function__(cls, function, types, args=(), kwargs=None):
        return True
    def __eq__(self, other): return True
    def __bool__(self): return True
    def __getattr__(self, name): return lambda *a, **k: self
    __hash__ = None
"""
FORGE = """
import json, os, struct
value = ["tuple", [["tensor", "bool", [1, 1]], ["tuple", []]]]
header = json.dumps({"turn": "1", "value": value, "sizes": [1]}).encode()
message = struct.pack(">I", len(header)) + header + b"\\x01"
for descriptor in range(3, 128):
    try:
        os.set_blocking(descriptor, False)
        for _ in range(1000):
            os.write(descriptor, message)
    except OSError:
        pass
"""


def add_cheats(lab: Lab, add: Callable, with_causal: Callable) -> None:
    """Add answers that attack the judgement instead of the exercise."""
    odd = {
        "softmax": "def softmax(x, dim):\n    return torch.zeros(1).expand(1 << 28)\n",
        "scaled_dot_product_attention": "def scaled_dot_product_attention(q, k, v, mask=None):\n"
        "    x = []\n    for _ in range(10**6):\n        x = [x]\n    return x\n",
        "causal_mask": "class Mine(torch.Tensor):\n    pass\n" + causal(after=f"{CAUSAL[:-1]}.as_subclass(Mine)\n"),
        "padding_mask": "def padding_mask(lengths, max_len):\n"
        "    mask = (torch.arange(max_len) < lengths[:, None])[:, None, None]\n    lengths.zero_()\n    return mask\n",
        "multi_head_attention": "def multi_head_attention(x, *rest, **more):\n    return x * float('nan')\n",
        "cache_step": "def cache_step(*args):\n    return cache_step(*args)\n",
    }
    add(
        "odd values",
        lab.solved(**odd),
        NOTHING,
        softmax="more than 64 MB",
        scaled_dot_product_attention="nested",
        causal_mask="Mine",
        padding_mask="in place",
        multi_head_attention="NaN",
        cache_step="RecursionError",
    )
    fake = lab.solved(**every("return Fake()"))
    fake["cells"].insert(2, code("import torch\n" + FAKE))
    add("fake tensors", fake, NOTHING, softmax="Fake")
    patched = lab.solved(**every("return torch.zeros(2, 3)"))
    patched["cells"].insert(
        2,
        code(
            "import builtins, torch\nfor name in ('allclose', 'equal', 'isclose', 'eq', 'all'):\n"
            "    setattr(torch, name, lambda *a, **k: True)\ntorch.Tensor.__eq__ = lambda *a: True\n"
            "builtins.all = builtins.any = lambda *a: True"
        ),
    )
    add("patches torch", patched, NOTHING)
    with_causal("forged reply", causal(inside=FORGE, after="    return None\n"), causal_mask="answers no question")
    with_causal(
        "floods the pipe", causal(inside=FORGE.replace('b"\\\\x01"', 'b"\\\\xff" * 99').replace("header +", ""))
    )
    with_causal(
        "breaks the worker",
        causal(
            before="import sys, codec",
            inside="codec.pack = codec.unpack = None\nsys.modules['torch'] = sys.modules['codec'] = None",
        ),
        causal_mask="ended",
    )
    with_causal(
        "imports the companion",
        "from companion.attention import causal_mask\n",
        causal_mask="ModuleNotFoundError",
    )


SPY = """
import os, pathlib
def try_to(action):
    try:
        action()
    except (OSError, ValueError):
        return False
    return True
"""
# An answer that could do what it must not gives itself away by a wrong mask.
CONFESS = """
import torch
class Ones:
    def __call__(self, *size, **options):
        return torch.zeros(*size, **options)
if managed:
    torch.ones = Ones()
"""


def add_spies(with_cells: Callable, forbidden: list[Path], port: int) -> None:
    """Add answers that reach for this machine; they lose points only where they succeed."""
    paths = [*map(str, forbidden), "/etc/passwd", "/etc/shadow", "/proc/1/environ", "/proc/self/mountinfo", "/bin/sh"]
    with_cells(
        "reads host files",
        f"{SPY}\nmanaged = [path for path in {paths!r} if try_to(lambda: os.stat(path))]\n"
        f"managed += [path for path in os.listdir('/') if path in ('home', 'var', 'mnt', 'opt', 'boot')]\n{CONFESS}",
    )
    written = [
        "/grade/x",
        "/site/x",
        "/usr/lib/x",
        "/etc/x",
        "/x",
        "/dev/x",
        "/site/torch/__init__.py",
        "/grade/worker.py",
    ]
    with_cells(
        "writes host files",
        f"{SPY}\nmanaged = [path for path in {written!r} if try_to(lambda: open(path, 'ab'))]\n{CONFESS}",
    )
    with_cells(
        "opens a socket",
        f"""{SPY}
import socket
def reach(family, address):
    with socket.socket(family, socket.SOCK_STREAM) as each:
        each.settimeout(1)
        each.connect(address)
managed = [
    address
    for address in (("127.0.0.1", {port}), ("192.0.2.1", 80), ("1.1.1.1", 53))
    if try_to(lambda: reach(socket.AF_INET, address))
]
managed += [name for name in ("/run/docker.sock", "/run/dbus/system_bus_socket", "\\0x")
    if try_to(lambda: reach(socket.AF_UNIX, name))]
{CONFESS}""",
    )
    with_cells(
        "gains rights",
        f"""{SPY}
import ctypes, resource
libc = ctypes.CDLL(None, use_errno=True)
def call(name, *arguments):
    if getattr(libc, name)(*arguments) < 0:
        raise OSError(ctypes.get_errno())
attempts = {{
    "root": lambda: os.setuid(0),
    "unshare": lambda: call("unshare", 0x10000000),
    "mount": lambda: call("mount", b"none", b"/work", b"tmpfs", 0, None),
    "memfd": lambda: os.memfd_create("x"),
    "shared memory": lambda: call("shmget", 0, 1 << 20, 0o1600),
    "ptrace": lambda: call("ptrace", 16, 1, 0, 0),
    "processes": lambda: resource.setrlimit(resource.RLIMIT_NPROC, (99, 99)),
    "memory": lambda: resource.setrlimit(resource.RLIMIT_AS, (-1, -1)),
}}
managed = [name for name, attempt in attempts.items() if try_to(attempt)]
{CONFESS}""",
    )
