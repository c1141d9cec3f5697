"""Photographs in and out, intact; and resampling without a network."""

from anyzoom.image.formats import FORMATS, READABLE_EXTENSIONS, Format, output_format
from anyzoom.image.metadata import resized
from anyzoom.image.part import same_file
from anyzoom.image.photo import Layout, Metadata, Photo, Samples
from anyzoom.image.reading import LIMIT_PIXELS, probe_image, read_image
from anyzoom.image.writing import ImageWriter, image_writer, write_image

__all__ = [
    "FORMATS",
    "LIMIT_PIXELS",
    "READABLE_EXTENSIONS",
    "Format",
    "ImageWriter",
    "Layout",
    "Metadata",
    "Photo",
    "Samples",
    "image_writer",
    "output_format",
    "probe_image",
    "read_image",
    "resized",
    "same_file",
    "write_image",
]
