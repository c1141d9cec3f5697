"""Everything that a training run needs to go on as if it had never stopped."""

from __future__ import annotations

import errno
import io
import pickle
import zipfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch

from anyzoom.errors import CannotWrite, RecipeError

KEYS = {
    *("format", "step", "seconds", "network", "averaged", "optimiser", "adversary"),
    *("scaler", "plateau", "best", "sums"),
}
FORMAT = 2


def save_state(path: Path, state: dict[str, Any]) -> None:
    """Write a state; the file is replaced as a whole.

    Raises CannotWrite, and leaves the old file, if there is no room.
    """
    partial, content = path.with_name(f".{path.name}.part"), io.BytesIO()
    torch.save(state, content)
    try:
        partial.write_bytes(content.getbuffer())
        partial.replace(path)
    except OSError as error:
        full = error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
        raise CannotWrite(
            f"cannot write {path}: {'there is no room left' if full else error.strerror}. "
            f"The last checkpoint is kept; make room and go on with --resume."
        ) from error
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)


def read_state(path: Path) -> dict[str, Any]:
    """What `save_state` wrote, on the processor. Raises RecipeError when the file is damaged or foreign."""
    if not path.is_file():
        raise RecipeError(f"{path} does not exist: no step of a training run has been saved there.")
    try:
        with zipfile.ZipFile(path) as parts:  # PyTorch writes check sums, but does not look at them
            if parts.testzip():
                raise zipfile.BadZipFile
        saved = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, ValueError, zipfile.BadZipFile, pickle.UnpicklingError) as error:
        raise RecipeError(f"{path} is damaged, or not the state of a training run. Remove it to begin anew.") from error
    if not isinstance(saved, dict) or saved.keys() != KEYS or saved["format"] != FORMAT:
        raise RecipeError(f"{path} is not the state of a training run. Choose another run folder.")
    return saved
