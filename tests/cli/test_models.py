"""`anyzoom models`"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from anyzoom.checkpoint import Card, shipped_cards

Command = Callable[..., Any]  # gives a Done of tests/conftest.py


def test_list_shows_card_and_licence(anyzoom: Command) -> None:
    done = anyzoom("models", "list")
    assert (done.code, done.err) == (0, "")
    lines = done.out.splitlines()
    assert lines[0] == "bicubic"
    for name, (path, card) in shipped_cards().items():
        at = lines.index(name)
        assert lines[at + 1] == f"  {card.summary}"
        assert f"  licence: {card.licence}" in lines[at:]
        assert f"  file: {path.name}, {path.stat().st_size / 1e6:.1f} MB" in lines[at:]


def test_list_as_json_is_the_cards(anyzoom: Command) -> None:
    done = anyzoom("models", "list", "--json")
    assert (done.code, done.err) == (0, "")
    assert [Card.model_validate(card) for card in json.loads(done.out)] == [
        card for _, card in shipped_cards().values()
    ]


def test_pack_refuses_in_one_line(anyzoom: Command, tmp_path: Path) -> None:
    (tmp_path / "card.json").write_text("{}")
    for run in (tmp_path / "missing", tmp_path):
        refusal = anyzoom(
            "models", "pack", run, "--card", tmp_path / "card.json", "-o", tmp_path / "a.safetensors"
        ).refusal
        assert refusal == f"{run} is not a run folder: it has no readable run.json."
    assert [entry.name for entry in tmp_path.iterdir()] == ["card.json"]


def test_without_a_word_it_shows_what_it_can(anyzoom: Command) -> None:
    done = anyzoom("models")
    assert done.code == 2
    assert "list" in done.out + done.err
