"""The table of formats: how a kind is told from a file's first bytes, and what each format can hold."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from anyzoom.errors import CannotWrite
from anyzoom.image.photo import Layout


@dataclass(frozen=True)
class Format:
    """What one output format can hold."""

    name: str  # as in --format
    extensions: tuple[str, ...]
    dtypes: tuple[str, ...]
    channels: tuple[int, ...]
    max_side: int  # pixels
    streams: bool  # written band by band; otherwise the whole picture is collected in memory
    linear: bool = False  # samples must be proportional to light; otherwise they must not be
    keeps: tuple[str, ...] = ("icc", "exif", "xmp", "dpi")


FORMATS: dict[str, Format] = {
    "png": Format("png", (".png",), ("uint8", "uint16"), (1, 2, 3, 4), 2**31 - 1, streams=True),
    "jpeg": Format("jpeg", (".jpg", ".jpeg", ".jpe"), ("uint8",), (1, 3), 65500, streams=True),
    "tiff": Format("tiff", (".tif", ".tiff"), ("uint8", "uint16", "float32"), (1, 2, 3, 4), 2**31 - 1, streams=True),
    "webp": Format("webp", (".webp",), ("uint8",), (1, 2, 3, 4), 16383, streams=False, keeps=("icc", "exif", "xmp")),
    "avif": Format("avif", (".avif",), ("uint8",), (1, 2, 3, 4), 65535, streams=False, keeps=("icc", "exif", "xmp")),
    "bmp": Format("bmp", (".bmp", ".dib"), ("uint8",), (1, 3), 2**31 - 1, streams=False, keeps=("dpi",)),
    "ppm": Format("ppm", (".ppm", ".pgm", ".pnm"), ("uint8", "uint16"), (1, 3), 2**31 - 1, streams=True, keeps=()),
    "exr": Format("exr", (".exr",), ("float32",), (1, 2, 3, 4), 2**31 - 1, streams=True, linear=True, keeps=()),
}

RAW_EXTENSIONS = frozenset(
    f".{name}"
    for name in (
        *(
            "3fr",
            "arw",
            "cr2",
            "cr3",
            "crw",
            "dcr",
            "dng",
            "erf",
            "iiq",
            "kdc",
            "mef",
            "mos",
            "mrw",
            "nef",
            "nrw",
        ),
        *("orf", "pef", "raf", "raw", "rw2", "rwl", "sr2", "srf", "srw", "x3f"),
    )
)
READABLE_EXTENSIONS = RAW_EXTENSIONS.union(
    (".heic", ".heif", ".hif", ".pbm"), *(known.extensions for known in FORMATS.values())
)
READABLE = "PNG, JPEG, TIFF, WebP, AVIF, HEIC, BMP, PPM/PGM/PBM, EXR and camera raw files"

# first bytes of kinds that we know but do not read, for a refusal that helps
FOREIGN = {
    b"GIF8": "a GIF",
    b"\x00\x00\x00\x0cJXL ": "a JPEG XL picture",
    b"\xff\x0a": "a JPEG XL picture",
    b"\x00\x00\x00\x0cjP  ": "a JPEG 2000 picture",
    b"8BPS": "a Photoshop document",
    b"%PDF": "a PDF",
    b"PK\x03\x04": "a ZIP archive",
    b"\x1f\x8b": "a gzip archive",
    b"<svg": "an SVG drawing",
    b"<?xml": "an XML text",
    b"<!DOCTYPE": "a web page",
    b"<html": "a web page",
}
STARTS = {
    re.compile(rb"\x89PNG\r\n\x1a\n"): "png",
    re.compile(rb"\xff\xd8\xff"): "jpeg",
    re.compile(rb"II[*+]\0|MM\0[*+]"): "tiff",
    re.compile(rb"RIFF....WEBP", re.DOTALL): "webp",
    re.compile(rb"BM"): "bmp",
    re.compile(rb"P[1-6]\s"): "ppm",
    re.compile(rb"\x76\x2f\x31\x01"): "exr",
    # Olympus, Panasonic, Fujifilm, Sigma, Minolta, older Canon
    re.compile(rb"IIR[OS]|MMOR|IIU\0|FUJIFILMCCD-RAW|FOVb|\0MRM|II\x1a\0\0\0HEAPCCDR"): "raw",
}


def kind_of(head: bytes) -> str | None:
    """The kind of a file by its first bytes (64 are enough), or None."""
    if head[:4] == b"II*\0" and head[8:10] == b"CR":
        return "raw"
    if head[4:8] == b"ftyp":
        return _brand_kind(head)
    return next((kind for start, kind in STARTS.items() if start.match(head)), None)


def _brand_kind(head: bytes) -> str | None:
    """The kind of a file of ISO boxes, by its major and compatible brands."""
    end = max(16, min(int.from_bytes(head[:4], "big"), len(head)))
    brands = {head[8:12], *(head[at : at + 4] for at in range(16, end - 3, 4))}
    if head[8:12] == b"crx ":
        return "raw"
    if brands & {b"avif", b"avis"}:
        return "avif"
    if brands & {b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1"}:
        return "heif"
    return None


def described(head: bytes) -> str:
    """What an unknown file seems to be, for a refusal."""
    for start, name in FOREIGN.items():
        if head.lstrip().startswith(start) or head.startswith(start):
            return name
    text = head[:16]
    if text and all(32 <= byte < 127 or byte in b"\t\r\n" for byte in text):
        return f"a text that starts with {text.decode('ascii')!r}"
    return f"unknown data that starts with {text[:8].hex(' ')}"


def output_format(path: Path | str, name: str | None = None) -> Format:
    """The format to write: by name where one is given, else by the extension. Raises CannotWrite."""
    if name is not None:
        wanted = name.lower().lstrip(".")
        for known in FORMATS.values():
            if wanted == known.name or f".{wanted}" in known.extensions:
                return known
        near = difflib.get_close_matches(wanted, FORMATS, n=1)
        hint = f" Did you mean {near[0]}?" if near else ""
        raise CannotWrite(f"format {name!r} is unknown. Known formats: {', '.join(FORMATS)}.{hint}")
    extension = Path(path).suffix.lower()
    for known in FORMATS.values():
        if extension in known.extensions:
            return known
    extensions = ", ".join(ending for known in FORMATS.values() for ending in known.extensions)
    found = f"the extension {extension!r} is unknown" if extension else "the name has no extension"
    raise CannotWrite(f"{path}: {found}. Use one of {extensions}, or say --format.")


def check_layout(path: Path, wanted: Format, layout: Layout) -> None:
    """Raise CannotWrite where the format cannot hold such a picture, naming one that can."""
    shown = wanted.name.upper()
    if layout.linear and not wanted.linear:
        raise CannotWrite(f"{path}: {shown} cannot say that samples are linear light. Use EXR or convert them.")
    if wanted.linear and not (layout.linear and layout.dtype == np.float32):
        raise CannotWrite(f"{path}: {shown} holds linear light in 32-bit float. Use TIFF or convert the samples.")
    if layout.dtype == np.float32 and "float32" not in wanted.dtypes:
        raise CannotWrite(f"{path}: {shown} cannot hold 32-bit float samples. Use TIFF, or EXR for linear light.")
    if layout.channels not in wanted.channels:
        better = ", ".join(known.name.upper() for known in FORMATS.values() if _fits(known, layout))
        found = "an alpha channel" if layout.alpha else f"{layout.channels} channels"
        raise CannotWrite(f"{path}: {shown} cannot hold {found}. Use {better}.")
    if max(layout.size) > wanted.max_side:
        raise CannotWrite(
            f"{path}: {layout.size} is too large for {shown}, whose sides end at {wanted.max_side}. Use TIFF."
        )
    if min(layout.size) < 1:
        raise CannotWrite(f"{path}: a picture of {layout.size} has no pixels.")


def _fits(known: Format, layout: Layout) -> bool:
    return not known.linear and layout.channels in known.channels


def stored_dtype(wanted: Format, layout: Layout) -> str:
    """The dtype that goes into the file: the photo's own, or 8 bits where the format has no 16."""
    return str(layout.dtype) if str(layout.dtype) in wanted.dtypes else "uint8"
