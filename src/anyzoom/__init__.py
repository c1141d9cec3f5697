"""anyzoom zooms real photographs by any factor, as an optical zoom lens would.

>>> from anyzoom import Zoomer, read_image, write_image          # doctest: +SKIP
>>> photo = read_image("photo.jpg")                              # doctest: +SKIP
>>> zoomer = Zoomer(photo)                                       # doctest: +SKIP
>>> pixels = zoomer.render(scale=3.7)                            # doctest: +SKIP

Names are loaded when they are first used, so that importing the package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from anyzoom.checkpoint import load_model
    from anyzoom.errors import AnyzoomError
    from anyzoom.grid import Size, Window
    from anyzoom.image import Photo, read_image, write_image
    from anyzoom.zoom import Zoomer

__version__ = "0.1.0"

__all__ = [
    "AnyzoomError",
    "Photo",
    "Size",
    "Window",
    "Zoomer",
    "__version__",
    "load_model",
    "read_image",
    "write_image",
]

_ROOMS = {
    "AnyzoomError": "errors",
    "Photo": "image",
    "Size": "grid",
    "Window": "grid",
    "Zoomer": "zoom",
    "load_model": "checkpoint",
    "read_image": "image",
    "write_image": "image",
}


def __getattr__(name: str) -> Any:
    if name not in _ROOMS:
        raise AttributeError(f"module 'anyzoom' has no attribute {name!r}")
    return getattr(import_module(f"anyzoom.{_ROOMS[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
