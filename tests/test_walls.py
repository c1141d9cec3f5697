"""The walls of the house: which room may look at which, and what must never come in."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import typer

import anyzoom.cli
from anyzoom.checkpoint import load_model, shipped_cards

REPOSITORY = Path(__file__).parents[1]
SOURCE = REPOSITORY / "src" / "anyzoom"

# The path of a photo. A room looks only at rooms above it; those on one line do not see each other.
ORDER = [
    ["errors"],
    ["settings"],
    ["grid"],
    ["geometry"],
    ["image"],
    ["models"],
    ["checkpoint"],
    ["degrade"],
    ["calibrate"],
    ["capture"],
    ["pairs"],
    ["align"],
    ["train", "zoom"],
    ["evaluate", "study"],
    ["cli"],
    ["__main__"],
]
LEVEL = {room: level for level, rooms in enumerate(ORDER) for room in rooms}
NO_ROOMS = {"__init__", "weights"}  # the window, and data


def room_of(file: Path) -> str:
    return file.relative_to(SOURCE).parts[0].removesuffix(".py")


def sources() -> list[Path]:
    return [file for file in sorted(SOURCE.rglob("*.py")) if room_of(file) != "__init__"]


def imported(tree: ast.AST) -> Iterator[str]:
    """Dotted names, also of imports inside functions and of those for types alone."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are written in full"
            yield from (f"{node.module}.{name.name}" for name in node.names)


def parsed(file: Path) -> ast.AST:
    return ast.parse(file.read_text("utf-8"), str(file))


def breaches(file: Path, room: str) -> list[str]:
    """What a source of that room imports although it may not."""
    found = []
    for name in imported(parsed(file)):
        parts = name.split(".")
        if parts[0] != "anyzoom" or parts[1:] == ["__version__"]:
            continue
        other = parts[1]
        if other not in LEVEL:  # also names of the window: inside, one goes to the room itself
            found.append(f"{name} is no room")
        elif other != room and LEVEL[other] >= LEVEL[room]:
            found.append(f"{room} looks at {name}")
    return found


def test_every_room_has_its_place_on_the_path() -> None:
    rooms = {entry.name.removesuffix(".py") for entry in SOURCE.iterdir() if entry.suffix in ("", ".py")}
    assert rooms - NO_ROOMS - {"__pycache__"} == set(LEVEL)


@pytest.mark.parametrize("file", sources(), ids=lambda file: file.relative_to(SOURCE).as_posix())
def test_imports_run_one_way(file: Path) -> None:
    assert breaches(file, room_of(file)) == []


def test_a_breach_would_be_seen(tmp_path: Path) -> None:
    file = tmp_path / "breach.py"
    file.write_text(
        "from typing import TYPE_CHECKING\n"
        "if TYPE_CHECKING:\n    from anyzoom.zoom.tiles import Job\n"
        "def load():\n    import anyzoom.cli\n    from anyzoom import train, load_model\n"
        "from anyzoom.models import MODELS\nfrom anyzoom import __version__\n"
    )
    assert sorted(breaches(file, "checkpoint")) == [
        "anyzoom.load_model is no room",
        "checkpoint looks at anyzoom.cli",
        "checkpoint looks at anyzoom.train",
        "checkpoint looks at anyzoom.zoom.tiles.Job",
    ]
    assert sorted(breaches(file, "zoom")) == [
        "anyzoom.load_model is no room",
        "zoom looks at anyzoom.cli",
        "zoom looks at anyzoom.train",
    ]


def test_rooms_are_imported_by_name_only_in_windows() -> None:
    for file in sources():
        if "import_module" in file.read_text("utf-8") or "__import__" in file.read_text("utf-8"):
            assert file.name == "__init__.py", file


def test_the_command_line_starts_without_pytorch() -> None:
    """Neither importing it nor asking for help, the version or the cards loads torch or NumPy."""
    code = """
import sys
import anyzoom, anyzoom.cli
for words in (
    "--help", "zoom --help", "train --help", "calibrate --help", "align --help", "pairs --help",
    "evaluate --help", "study --help", "study serve --help", "--version", "models list",
):
    sys.argv = ["anyzoom", *words.split()]
    try:
        anyzoom.cli.main()
    except SystemExit as end:
        assert not end.code, words
    heavy = {"torch", "numpy", "PIL", "OpenImageIO"} & set(sys.modules)
    assert not heavy, (words, heavy)
import torch
assert "torch" in sys.modules
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_window_shows_what_it_promises() -> None:
    for name in anyzoom.__all__:
        assert getattr(anyzoom, name) is not None
    assert dir(anyzoom) == sorted(anyzoom.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = anyzoom.nothing


def project() -> dict[str, Any]:
    found: dict[str, Any] = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))["project"]
    return found


def test_no_torchvision_anywhere() -> None:
    unwanted = "torch" + "vision"
    for folder in ("src", "tests", "benchmarks", "examples", "scripts", "recipes"):
        for file in (REPOSITORY / folder).rglob("*.py"):
            assert not any(name.startswith(unwanted) for name in imported(parsed(file))), file
    for name in ("pyproject.toml", "constraints.txt"):
        assert unwanted not in (REPOSITORY / name).read_text("utf-8")


def test_extras_are_named_after_rooms() -> None:
    extras = project()["optional-dependencies"]
    assert set(extras) <= set(LEVEL) | {"raw", "test"}
    for file in sources():
        for extra in re.findall(r"MissingExtra\([^)]*\"(\w+)\"\)", file.read_text("utf-8")):
            assert extra in extras, file


def test_exact_versions_lie_within_the_ranges() -> None:
    """Ranges in pyproject.toml, exact pins in constraints.txt alone; and PyTorch is pinned."""
    pins = dict(re.findall(r"^([\w.-]+)==(\S+)$", (REPOSITORY / "constraints.txt").read_text("utf-8"), re.MULTILINE))
    assert "torch" in pins
    known = {name.lower().replace("_", "-") for name in pins}
    for line in chain(project()["dependencies"], *project()["optional-dependencies"].values()):
        assert "==" not in line
        name = re.split(r"[\[<>=;]", line)[0].lower()
        assert name == "anyzoom" or name in known, f"{line} is not pinned"


PAGES = [REPOSITORY / "README.md", REPOSITORY / "Makefile", *sorted((REPOSITORY / "docs").glob("*.md"))]


def told_commands() -> list[tuple[str, str]]:
    """Every `anyzoom ...` and `make ...` that stands in backticks or begins a line of code; with the page's name."""
    found = []
    for page in PAGES:
        text = page.read_text("utf-8").replace("\\\n", " ")
        for line in re.findall(r"(?:^[ \t@$]*|`|bin/)((?:anyzoom|make) [a-z][^`\n|&#]*)", text, re.MULTILINE):
            found.append((page.name, line.strip()))
    return found


def test_commands_in_the_pages_exist() -> None:
    commands = typer.main.get_command(anyzoom.cli.app).commands  # type: ignore[attr-defined]
    targets = set(re.findall(r"^([a-z-]+):", (REPOSITORY / "Makefile").read_text("utf-8"), re.MULTILINE))
    told = told_commands()
    assert told
    for page, line in told:
        program, name, *rest = line.replace("[", " ").split()
        if program == "make":
            assert name in targets, f"{page}: {line}"
            continue
        assert name in commands, f"{page}: {line}"
        command = commands[name]
        if hasattr(command, "commands") and rest and not rest[0].startswith("-"):
            inner = rest[0] if rest[0] in command.commands else getattr(command, "default", rest[0])
            assert inner in command.commands, f"{page}: {line}"
            command = command.commands[inner]
        options = {"--help", *(option for parameter in command.params for option in parameter.opts)}
        for word in rest:
            if word.startswith("-"):
                assert word.split("=")[0].rstrip(".,:;)]") in options, f"{page}: {line}"


def test_no_source_is_too_long_to_read() -> None:
    for file in SOURCE.rglob("*.py"):
        assert len(file.read_text("utf-8").splitlines()) <= 450, file


def test_there_is_no_room_for_leftovers() -> None:
    for file in SOURCE.rglob("*.py"):
        assert not {"utils", "helpers", "common", "misc"} & {file.stem, *file.parent.parts[-2:]}, file


def test_shipped_weights_are_small_loadable_and_licensed() -> None:
    cards = shipped_cards()
    assert cards
    files = {file.name for file in (SOURCE / "weights").iterdir()}
    assert files == {path.name for path, _ in cards.values()}
    for name, (path, card) in cards.items():
        assert path.stat().st_size < 4_000_000
        assert card.licence not in ("", "unstated")
        assert load_model(name).facts.trained_to >= 1
