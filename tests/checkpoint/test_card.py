"""The card is read without PyTorch, and nothing in a file is ever executed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError
from safetensors.numpy import save_file

from anyzoom.checkpoint import Card, read_card, shipped_cards
from anyzoom.errors import CheckpointError
from anyzoom.models import MODELS


def written(path: Path, card: Card | str | None, **others: str) -> Path:
    text = card.model_dump_json() if isinstance(card, Card) else card
    metadata = others if text is None else {**others, "anyzoom": text}
    save_file({"weight": np.zeros(3, np.float32)}, path, metadata)
    return path


def test_a_card_comes_back(tmp_path: Path) -> None:
    card = Card(
        name="mine",
        model="lmi-edsr",
        config={"encoder": {"width": 8}},
        summary="föß",
        licence="CC0-1.0",
        credits=["a", "b"],
        steps=7,
        seconds=1.5,
        results={"Set5 x2": 33.7},
    )
    assert read_card(written(tmp_path / "a.safetensors", card)) == card


def test_what_a_card_leaves_out_has_defaults(tmp_path: Path) -> None:
    card = read_card(written(tmp_path / "a.safetensors", '{"name": "n", "model": "bicubic"}'))
    assert (card.licence, card.config, card.steps, card.format) == ("unstated", {}, 0, 1)


@pytest.mark.parametrize("start", [b"\x80\x00", b"\x80\x02", b"\x80\x05", b"PK"])
def test_a_header_may_have_any_length(tmp_path: Path, start: bytes) -> None:
    """A checkpoint begins with its header's length, which may look like the start of a pickle or a ZIP archive."""
    header = json.dumps({"__metadata__": {"anyzoom": '{"name": "n", "model": "bicubic"}'}}).encode()
    length = int.from_bytes(start, "little")
    assert len(header) <= length
    path = tmp_path / "a.safetensors"
    path.write_bytes(start + bytes(6) + header.ljust(length))
    assert read_card(path).name == "n"


FOREIGN = "without anyzoom's card: these weights are foreign"
DAMAGED = "not a safetensors checkpoint"
PICKLE = "PyTorch pickle, which could run any code and is never opened"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", DAMAGED),
        (b"\x10\0\0", DAMAGED),
        (b"hello, I am a text", DAMAGED),
        (b"\xff" * 7 + b"\x7f{}", DAMAGED),
        (b"\x40" + b"\0" * 7 + b'{"__metadata__":', DAMAGED),
        (b"\x02" + b"\0" * 7 + b"{}", FOREIGN),
        (b"\x02" + b"\0" * 7 + b"[]", DAMAGED),
        (b"\x11" + b"\0" * 7 + b'{"__metadata__":3}', DAMAGED),
        (b"\x12" + b"\0" * 7 + b'{"__metadata__":3}', FOREIGN),
        (b"\x80\x02}q\0.", PICKLE),
        (b"\x80\x05\x95\x10\0\0\0\0\0\0\0}", PICKLE),
        (b"PK\x03\x04\0\0\0\0\0\0", PICKLE),
    ],
)
def test_refuses_what_is_no_checkpoint(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "a.safetensors"
    path.write_bytes(content)
    with pytest.raises(CheckpointError) as caught:
        read_card(path)
    assert words in str(caught.value)
    assert str(path) in str(caught.value)


def test_refuses_json_that_is_too_deep(tmp_path: Path) -> None:
    text = b'{"a":' + b"[" * 200_000
    path = tmp_path / "a.safetensors"
    path.write_bytes(len(text).to_bytes(8, "little") + text)
    with pytest.raises(CheckpointError, match=DAMAGED):
        read_card(path)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, FOREIGN),
        ("", "its card cannot be understood"),
        ("[]", "its card cannot be understood"),
        ('{"name": "n"}', "its card cannot be understood"),
        ('{"name": "n", "model": "m", "unknown": 1}', "its card cannot be understood"),
        ('{"name": "n", "model": "m", "format": 2}', "has format 2; this anyzoom reads up to 1. Update anyzoom"),
    ],
)
def test_refuses_cards_it_cannot_follow(tmp_path: Path, text: str | None, words: str) -> None:
    with pytest.raises(CheckpointError, match=words):
        read_card(written(tmp_path / "a.safetensors", text, format="pt"))


def test_refuses_folders_and_missing_files(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "missing"):
        with pytest.raises(CheckpointError, match="cannot read the weights"):
            read_card(path)


def test_unknown_fields_are_our_own_mistake() -> None:
    with pytest.raises(ValidationError):
        Card.model_validate({"name": "n", "model": "m", "license": "typo"})


def test_what_is_shipped_says_what_it_is() -> None:
    cards = shipped_cards()
    assert cards
    for name, (path, card) in cards.items():
        assert (path.stem, card.name) == (name, name)
        assert card.model in MODELS
        MODELS[card.model].config.model_validate(card.config)
        for field in ("summary", "licence", "data", "degradation", "machine"):
            assert getattr(card, field) not in ("", "unstated"), f"{name}: {field}"
        assert card.steps > 0
        assert card.seconds > 0
        if "CC BY" in card.data or "CC-BY" in card.data:
            assert card.credits


def test_cards_are_read_without_pytorch() -> None:
    code = """
import json, sys
from anyzoom.checkpoint.card import shipped_cards
names = list(shipped_cards())
print(json.dumps({"names": names, "torch": "torch" in sys.modules}))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    assert found["names"] == list(shipped_cards())
    assert found["torch"] is False
