"""The TIFF structure: directories of tagged values, as TIFF files and EXIF blobs both use them.

TIFF 6.0 (Adobe, 1992), EXIF 2.32 (CIPA DC-008) and the BigTIFF extension. Reading is bounded by the data at
hand: a hostile offset or count is an error and never a large allocation. Values can be changed in place:
maker notes point into the blob by absolute offsets, so a blob must never be moved without need.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterable
from typing import NamedTuple, TypeAlias

Buffer: TypeAlias = bytes | bytearray | mmap.mmap

# bytes per value of each field type; 16 to 18 exist in BigTIFF only
TYPE_BYTES = {
    1: 1,
    2: 1,
    3: 2,
    4: 4,
    5: 8,
    6: 1,
    7: 1,
    8: 2,
    9: 4,
    10: 8,
    11: 4,
    12: 8,
    13: 4,
    16: 8,
    17: 8,
    18: 8,
}
BYTE, ASCII, SHORT, LONG, RATIONAL, UNDEFINED, LONG8 = 1, 2, 3, 4, 5, 7, 16
SIGNED_RATIONAL, DOUBLE = 10, 12

EXIF_IFD, GPS_IFD, INTEROP_IFD = 34665, 34853, 40965
POINTERS = (EXIF_IFD, GPS_IFD, INTEROP_IFD)
MOST_ENTRIES = 4096  # of a directory that we believe


class DamagedTiff(ValueError):
    """A TIFF structure that contradicts itself; callers turn it into a refusal or a warning."""


class Form(NamedTuple):
    """How the numbers of one TIFF structure are written."""

    order: str  # "<" or ">"
    big: bool  # BigTIFF

    @property
    def offset_code(self) -> str:
        return self.order + ("Q" if self.big else "I")

    @property
    def offset_bytes(self) -> int:
        return 8 if self.big else 4

    @property
    def count_code(self) -> str:
        return self.order + ("Q" if self.big else "H")

    @property
    def entry_bytes(self) -> int:
        return 20 if self.big else 12


class Tag(NamedTuple):
    """One entry of a directory, by its places in the data."""

    number: int
    type: int
    values: int
    entry: int  # where the entry starts
    value: int  # where its value starts
    length: int  # bytes of the value


class Directory(NamedTuple):
    """One directory (IFD)."""

    tags: dict[int, Tag]
    offset: int
    next_link: int  # where the offset of the next directory is stored
    next: int  # that offset, 0 for none


class Entry(NamedTuple):
    """One entry to be written; `value` is in the byte order of the file it goes to."""

    number: int
    type: int
    values: int
    value: bytes


class Tree(NamedTuple):
    """A directory taken out of its file, with the EXIF, GPS and interoperability directories below it."""

    entries: list[Entry]
    children: dict[int, Tree]


def read_form(data: Buffer) -> tuple[Form, int]:
    """Byte order and kind of a TIFF structure, and the offset of its first directory."""
    order = {b"II": "<", b"MM": ">"}.get(bytes(data[:2]))
    if order is None or len(data) < 8:
        raise DamagedTiff("it has no TIFF header")
    magic = struct.unpack_from(order + "H", data, 2)[0]
    if magic == 43:
        if len(data) < 16:
            raise DamagedTiff("its header ends early")
        return Form(order, True), struct.unpack_from(order + "Q", data, 8)[0]
    # 42 is TIFF; camera makers use others (Olympus RO and RS, Panasonic 0x55) with the same structure
    return Form(order, False), struct.unpack_from(order + "I", data, 4)[0]


def read_directory(data: Buffer, form: Form, offset: int) -> Directory:
    """The directory at `offset`. Entries whose values lie outside the data are left out."""
    size = len(data)
    head = struct.calcsize(form.count_code)
    if not 0 < offset <= size - head:
        raise DamagedTiff(f"a directory lies at byte {offset} of {size}")
    count = struct.unpack_from(form.count_code, data, offset)[0]
    next_link = offset + head + count * form.entry_bytes
    if count == 0 or count > MOST_ENTRIES or next_link > size:
        raise DamagedTiff(f"the directory at byte {offset} claims {count} entries")
    tags = {}
    for entry in range(offset + head, next_link, form.entry_bytes):
        number, kind = struct.unpack_from(form.order + "HH", data, entry)
        values = struct.unpack_from(form.offset_code, data, entry + 4)[0]
        length = TYPE_BYTES.get(kind, 0) * values
        place = entry + 4 + form.offset_bytes
        if length > form.offset_bytes:
            place = struct.unpack_from(form.offset_code, data, place)[0]
        if length and place + length <= size:
            tags[number] = Tag(number, kind, values, entry, place, length)
    # some writers end the data without the link to a next directory
    linked = next_link + form.offset_bytes <= size
    following = struct.unpack_from(form.offset_code, data, next_link)[0] if linked else 0
    return Directory(tags, offset, next_link if linked else 0, following)


def raw_value(data: Buffer, tag: Tag) -> bytes:
    return bytes(data[tag.value : tag.value + tag.length])


def integers(data: Buffer, form: Form, tag: Tag | None) -> tuple[int, ...]:
    """The values of an integer tag; empty where there is none."""
    if tag is None:
        return ()
    code = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}.get(tag.type)
    if code is None:
        return ()
    return struct.unpack_from(f"{form.order}{tag.values}{code}", data, tag.value)


def integer(data: Buffer, form: Form, tag: Tag | None, default: int) -> int:
    return (integers(data, form, tag) or (default,))[0]


def rational(data: Buffer, form: Form, tag: Tag | None) -> float | None:
    """The first value of a fraction, or None. Some writers sign it, or store a double instead."""
    if tag is not None and tag.type == DOUBLE:
        return float(struct.unpack_from(form.order + "d", data, tag.value)[0])
    if tag is None or tag.type not in (RATIONAL, SIGNED_RATIONAL):
        return None
    above, below = struct.unpack_from(form.order + ("II" if tag.type == RATIONAL else "ii"), data, tag.value)
    return above / below if below else None


def set_integer(data: bytearray, form: Form, tag: Tag | None, value: int) -> None:
    """Overwrite a single SHORT or LONG; a SHORT becomes a LONG where it must (both fit into the entry)."""
    if tag is None or tag.values != 1 or tag.type not in (SHORT, LONG):
        return
    kind = LONG if value > 0xFFFF else tag.type
    struct.pack_into(form.order + "H", data, tag.entry + 2, kind)
    packed = struct.pack(form.order + ("I" if kind == LONG else "H"), value)
    data[tag.value : tag.value + 4] = packed.ljust(4, b"\0")


def remove_tag(data: bytearray, form: Form, directory: Directory, number: int) -> None:
    """Take one entry out of a directory; what follows inside the directory moves up, nothing else moves."""
    tag = directory.tags.get(number)
    if tag is None:
        return
    count = struct.unpack_from(form.count_code, data, directory.offset)[0]
    if count == 1 or not directory.next_link:
        return
    end = directory.next_link + form.offset_bytes
    data[tag.entry : end - form.entry_bytes] = data[tag.entry + form.entry_bytes : end]
    struct.pack_into(form.count_code, data, directory.offset, count - 1)


def set_link(data: bytearray, form: Form, directory: Directory, target: int) -> None:
    """Make `target` the directory that follows; 0 for none."""
    if directory.next_link:
        struct.pack_into(form.offset_code, data, directory.next_link, target)


def read_tree(data: Buffer, form: Form, directory: Directory) -> Tree:
    """A directory and the known ones below it, as entries that any TIFF structure of its order can take."""
    entries, children = [], {}
    for tag in directory.tags.values():
        if tag.number in POINTERS:
            offset = integer(data, form, tag, 0)
            try:
                below = read_directory(data, form, offset)
            except DamagedTiff:
                continue
            children[tag.number] = read_tree(data, form, _without_cycles(below, tag.number))
        else:
            entries.append(_narrowed(form, Entry(tag.number, tag.type, tag.values, raw_value(data, tag))))
    return Tree(entries, children)


def _without_cycles(directory: Directory, pointer: int) -> Directory:
    """Only the EXIF directory may point further, and only to interoperability: so a hostile loop ends."""
    allowed = {INTEROP_IFD} if pointer == EXIF_IFD else set()
    tags = {n: tag for n, tag in directory.tags.items() if n not in POINTERS or n in allowed}
    return directory._replace(tags=tags)


def _narrowed(form: Form, entry: Entry) -> Entry:
    """BigTIFF's 64-bit types as the 32-bit types that every reader of EXIF knows."""
    narrow = {16: ("Q", "I", 4), 17: ("q", "i", 9), 18: ("Q", "I", 13)}.get(entry.type)
    if narrow is None:
        return entry
    wide_code, code, kind = narrow
    values = struct.unpack(f"{form.order}{entry.values}{wide_code}", entry.value)
    limited = [min(value, 0x7FFFFFFF) for value in values]
    return Entry(entry.number, kind, entry.values, struct.pack(f"{form.order}{entry.values}{code}", *limited))


def pack_tree(tree: Tree, form: Form, offset: int) -> tuple[bytes, int]:
    """A tree as bytes that will stand at `offset` of a file; also the offset of its top directory."""
    packed = bytearray()
    entries = list(tree.entries)
    for number, child in tree.children.items():
        block, place = pack_tree(child, form, offset + len(packed))
        packed += block
        entries.append(pointer(form, number, place))
    top = offset + len(packed)
    return bytes(packed + pack_directory(entries, form, top)), top


def pointer(form: Form, number: int, place: int) -> Entry:
    """An entry that points to a directory."""
    kind = 18 if form.big else LONG
    return Entry(number, kind, 1, struct.pack(form.offset_code, place))


def pack_directory(entries: Iterable[Entry], form: Form, offset: int) -> bytes:
    """One directory, without a next one, for `offset` (even) of a file, followed by its longer values."""
    ordered = sorted(entries, key=lambda entry: entry.number)
    head = bytearray(struct.pack(form.count_code, len(ordered)))
    values = bytearray()
    behind = offset + len(head) + len(ordered) * form.entry_bytes + form.offset_bytes
    for entry in ordered:
        head += struct.pack(form.order + "HH", entry.number, entry.type)
        head += struct.pack(form.offset_code, entry.values)
        if len(entry.value) <= form.offset_bytes:
            head += entry.value.ljust(form.offset_bytes, b"\0")
        else:
            head += struct.pack(form.offset_code, behind + len(values))
            values += entry.value
            values += b"\0" * (-len(values) % 8)  # values start at even bytes, and stay aligned
    head += struct.pack(form.offset_code, 0)
    return bytes(head + values) + b"\0" * ((len(head) + len(values)) % 2)
