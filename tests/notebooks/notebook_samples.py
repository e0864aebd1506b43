"""What the tests of the notebooks publish: a small chapter, a small lab, and the files around them."""

import json
import textwrap
from pathlib import Path

from companion.publish.convert import Source
from companion.publish.project import setup_line

HEADER = """\
---
jupytext:
  text_representation:
    extension: .md
    format_name: myst
    format_version: 0.13
kernelspec:
  display_name: Python 3
  language: python
  name: python3
---

"""

CHAPTER = """\
# Adding up

(why)=
## Why add

Read {cite:t}`euler1748` before {ref}`how`.

```{code-cell} ipython3
:tags: [setup]

SETUP
```

$$
a + b
$$ (eq-sum)

## How

```{code-cell} ipython3
:tags: [nbval-check-output]

print("the sum is", 1 + 2)
```

(how)=
## How to

See {eq}`eq-sum` and [the lab](../labs/adding.md).

```{code-cell} ipython3
total = 3
```
"""

LAB = """\
# Lab: adding

Ten minutes.

```{code-cell} ipython3
:tags: [setup]
:nbgrader: {"grade": false, "grade_id": "setup", "locked": true, "schema_version": 3, "solution": false}

SETUP
```

## Exercise 1: add

```{code-cell} ipython3
:nbgrader: {"grade": false, "grade_id": "add", "locked": false, "schema_version": 3, "solution": true}

def add(a, b):
    ### BEGIN SOLUTION
    secret_sum = a + b
    return secret_sum
    ### END SOLUTION
```

```{code-cell} ipython3
:tags: [nbval-check-output]
:nbgrader: {grade: true, grade_id: check_add, locked: true, points: 2, schema_version: 3, solution: false, task: false}

assert add(1, 2) == 3
### BEGIN HIDDEN TESTS
assert add(-7, 7) == 0
### END HIDDEN TESTS
print("add: right")
```

## Exercise 2: report

+++ {"nbgrader": {"grade": true, "grade_id": "report", "locked": false, "points": 6, REPORT}}

The model answer nobody may see.
"""

REPORT = '"schema_version": 3, "solution": true'

BIBLIOGRAPHY = """\
@book{euler1748, author = {Euler, Leonhard}, title = {Introductio}, publisher = {Bousquet}, year = {1748}}
@article{many, author = {One, A. and Two, B. and Three, C.}, title = {T}, journal = {J}, year = {2001}}
"""


def fill(root: Path) -> Path:
    (root / "pyproject.toml").write_text("[project]\nname = 'x'\n")
    write(root / "companion/__init__.py", "")
    write(root / "companion/sums.py", "def add(a, b):\n    return a + b\n\n\ndef other():\n    return 0\n")
    write(root / "book/references.bib", BIBLIOGRAPHY)
    write(root / "book/api/sums.md", "# API\n\n```{eval-rst}\n.. automodule:: companion.sums\n```\n")
    write(root / "book/adding.md", page(CHAPTER))
    write(root / "labs/adding.md", page(LAB))
    return root


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf8", newline="\n")
    return path


def page(body: str) -> str:
    """Return a MyST notebook with the setup line in its setup cell."""
    return HEADER + textwrap.dedent(body).replace("SETUP", setup_line()).replace("REPORT", REPORT)


def source_of(checkout: Path, name: str) -> Source:
    return Source(checkout, checkout / name)


def edit(path: Path, change) -> None:
    """Edit a notebook's JSON, keeping the way generated files are written."""
    notebook = json.loads(path.read_text("utf8"))
    change(notebook)
    path.write_text(json.dumps(notebook, indent=1, sort_keys=True, ensure_ascii=False) + "\n", "utf8")
