"""Files that appear complete or not at all: a part beside the target, moved onto it in one step."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from anyzoom.errors import CannotWrite

# what the system says -> what we say
REASONS = {
    errno.ENOSPC: "no space left on the disk. Free some, or write elsewhere",
    errno.EDQUOT: "the disk quota is used up. Free some space, or write elsewhere",
    errno.EFBIG: "the file would be larger than this system allows",
    errno.EACCES: "no permission to write there. Choose another folder, or change its permissions",
    errno.EPERM: "no permission to write there. Choose another folder, or change its permissions",
    errno.EROFS: "the disk is read-only. Write elsewhere",
    errno.ENOENT: "its folder does not exist. Create it first",
    errno.ENOTDIR: "its folder is a file. Choose another folder",
    errno.ENAMETOOLONG: "the name is too long. Choose a shorter one",
    errno.ELOOP: "the name is a link to itself. Remove it first",
}
NO_LINKS = frozenset({errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL, errno.EMLINK})


@contextmanager
def refused_by_system(path: Path) -> Iterator[None]:
    """What the system refuses becomes CannotWrite, on one line and with advice."""
    try:
        yield
    except OSError as error:
        reason = REASONS.get(error.errno or 0, f"cannot be written ({error.strerror or error})")
        raise CannotWrite(f"{path}: {reason}. Nothing was written.") from error


def check_target(path: Path, target: Path, *, overwrite: bool) -> None:
    """Refuse a target that cannot or must not be written, before any work. Raises CannotWrite, OSError."""
    if target.is_dir():
        raise CannotWrite(f"{path}: a folder. Name a file in it.")
    target.parent.stat()
    if not target.parent.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(target.parent))
    if target.exists():
        if not overwrite:
            raise exists_already(path)
        if not target.is_file():
            raise CannotWrite(f"{path}: not a regular file, so it is not replaced. Choose another name.")


def exists_already(path: Path) -> CannotWrite:
    return CannotWrite(f"{path}: exists already. Choose another name or add --overwrite.")


def new_part(target: Path) -> Path:
    """An empty part for that target, with the permissions of any new file; stale ones go. Raises OSError."""
    remove_stale_parts(target)
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    except FileExistsError as error:
        raise CannotWrite(f"{target}: is being written already by this process. Choose another name.") from error
    return part


def remove_stale_parts(target: Path) -> None:
    """Remove parts of that target whose process is gone."""
    shape = re.compile(re.escape(f".{target.name}.") + r"(\d+)\.part")
    with os.scandir(target.parent) as entries:
        stale = [
            Path(entry.path)
            for entry in entries
            if (match := shape.fullmatch(entry.name)) and not _alive(int(match[1]))
        ]
    for part in stale:
        with suppress(OSError):
            part.unlink()


def _alive(pid: int) -> bool:
    if os.name != "posix":
        return True  # asking would end the process there
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


def publish(path: Path, part: Path, target: Path, *, overwrite: bool) -> None:
    """Bring a complete part to the disk and under its name, in one step. Raises CannotWrite, OSError."""
    with part.open("r+b") as file:
        os.fsync(file.fileno())
    if overwrite:
        part.replace(target)
    else:
        try:
            target.hardlink_to(part)  # unlike a move, this fails where another process was faster
        except FileExistsError as error:
            raise exists_already(path) from error
        except OSError as error:
            if error.errno not in NO_LINKS:
                raise
            if target.exists():
                raise exists_already(path) from error
            part.rename(target)
        else:
            part.unlink()
    with suppress(OSError):  # some systems cannot sync folders; the file is complete anyway
        folder = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def same_file(a: Path | str, b: Path | str) -> bool:
    """Whether two names lead to one existing file, through links of any kind."""
    try:
        return Path(a).samefile(b)
    except OSError:
        return False
