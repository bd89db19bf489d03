"""A page in headless Chromium, asked by a script what its reader sees."""

from __future__ import annotations

import html
import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

_ASKING = """<!doctype html><meta charset="utf-8"><style>iframe {{ width: {width}px; height: 900px; border: 0 }}</style>
<pre id="found">nothing</pre><iframe srcdoc="{page}"></iframe><script>
document.querySelector("iframe").onload = event => {{
  const page = event.target.contentDocument;
  const found = ({script})(page, event.target.contentWindow);
  document.querySelector("#found").textContent = JSON.stringify(found);
}};
</script>"""


def missing() -> str:
    """Why there is none; empty where there is."""
    return "" if _program() else "not installed: chromium"


def ask(page: str, script: str, directory: Path, *, width: int = 1200, dark: bool = False) -> Any:
    """What a function in JavaScript says of a page; it is given the document and its window."""
    file = directory / "asking.html"
    file.write_text(_ASKING.format(width=width, page=html.escape(page), script=script), encoding="utf-8")
    program = _program()
    assert program is not None
    told = subprocess.run(
        [
            *(
                program,
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--hide-scrollbars",
                "--virtual-time-budget=5000",
            ),
            *(f"--user-data-dir={directory / 'profile'}", f"--blink-settings=preferredColorScheme={0 if dark else 1}"),
            *("--dump-dom", file.as_uri()),
        ],
        env={**os.environ, "HOME": str(directory)},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    ).stdout
    found = re.search(r'<pre id="found">(.*?)</pre>', told, re.DOTALL)
    assert found is not None, told
    return json.loads(html.unescape(found[1]))


def _program() -> str | None:
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
