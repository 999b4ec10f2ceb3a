"""The README's code works as printed: its blocks are run in order, in a copy of the tree."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
BLOCK = re.compile(r"^```(?P<language>\w+)\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(language: str) -> list[str]:
    text = (ROOT / "README.md").read_text()
    return [match["code"] for match in BLOCK.finditer(text) if match["language"] == language]


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files that git knows, with this run's virtual environment."""
    tree = tmp_path_factory.mktemp("tree") / "tenantry"
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in listed.stdout.split():
        if (ROOT / name).is_file():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, tree / name)
    (tree / ".venv").symlink_to(Path(sys.executable).parent.parent)
    # Under root the embedded server's account must be able to pass through.
    for folder in (tree.parent, tree):
        folder.chmod(0o755)
    return tree


@pytest.fixture(scope="module")
def served(tree: Path) -> Iterator[dict[str, Any]]:
    """What `manage.py dev` says, which is what `make run` runs; and the environment for blocks."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("TENANTRY_")
    }
    process = subprocess.Popen(
        [".venv/bin/python", "manage.py", "dev", "--json", "--port", "0"],
        cwd=tree,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    facts = json.loads(process.stdout.readline())
    yield {**facts, "environment": environment}
    process.send_signal(signal.SIGINT)
    process.wait(timeout=30)
    process.stdout.close()


@pytest.mark.slow
def test_every_block_runs_in_order(tree: Path, served: dict[str, Any]) -> None:
    text = (ROOT / "README.md").read_text()
    script = ["set -euo pipefail"]
    for match in BLOCK.finditer(text):
        code = match["code"]
        if match["language"] == "bash":
            script.append(code.replace("http://127.0.0.1:8000", served["base_url"]))
        elif match["language"] == "python" and code.startswith("# "):
            path = tree / code.splitlines()[0].removeprefix("# ")
            path.parent.mkdir(exist_ok=True)
            path.write_text(code)
            (path.parent / "__init__.py").touch()
        elif match["language"] == "python":
            script.append(f".venv/bin/python - <<'PYTHON'\n{code}PYTHON")

    ran = subprocess.run(
        ["bash", "-c", "\n".join(script)],
        cwd=tree,
        env=served["environment"],
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert ran.returncode == 0, ran.stderr
    assert "12 °C, light rain" in ran.stdout
    assert "2 assistant Hi there" in ran.stdout
    assert "1 user And in Bergen?\nevent 1" in ran.stdout
    assert "conversations, notes" in ran.stdout
    assert '"status":4' not in ran.stdout
    assert '"status":5' not in ran.stdout


def test_the_make_targets_that_it_names_exist() -> None:
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    named = re.findall(r"(?:^|`)make ([a-z-]+)", (ROOT / "README.md").read_text(), re.MULTILINE)

    assert named
    assert set(named) <= set(targets)


def test_the_links_that_it_gives_lead_somewhere() -> None:
    links = re.findall(r"\]\(([^)]+)\)", (ROOT / "README.md").read_text())

    assert [link for link in links if not (ROOT / link).exists()] == []
