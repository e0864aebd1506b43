"""Files written whole or not at all."""

import json
from pathlib import Path
from typing import Any


def write_json(path: Path, content: Any) -> None:
    """Write a JSON file whole or not at all."""
    aside = path.with_name(f".{path.name}")
    aside.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", "utf-8")
    aside.replace(path)
