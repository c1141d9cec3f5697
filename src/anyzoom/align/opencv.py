"""OpenCV, or what to install for it. The room's files import it from here."""

from anyzoom.errors import MissingExtra

try:
    import cv2
except ImportError as error:
    raise MissingExtra("aligning", "align") from error

__all__ = ["cv2"]
