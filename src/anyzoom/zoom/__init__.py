"""Rendering a photograph at any size: whole, by windows, or from file to file, in bounded memory."""

from anyzoom.zoom.files import Settings, Zoomed, zoom_file
from anyzoom.zoom.request import Request
from anyzoom.zoom.zoomer import Zoomer

__all__ = ["Request", "Settings", "Zoomed", "Zoomer", "zoom_file"]
