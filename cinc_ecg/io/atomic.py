"""Writing files so that nobody ever sees half of one, and a power cut loses at most the newest."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cinc_ecg.errors import OutputError

#: Scratch folders start with this; a later run may sweep what a killed one left behind.
SCRATCH_PREFIX = ".cinc-ecg-tmp-"
_FULL = (errno.ENOSPC, errno.EDQUOT)


def output_error(error: OSError, where: Path) -> OutputError:
    """Turn an OSError met while writing into one clear line."""
    if error.errno in _FULL:
        return OutputError(
            f"{where}: the disk is full; free some space and run again with --resume",
            code="disk_full",
        )
    reason = error.strerror or str(error)
    return OutputError(
        f"{where}: cannot be written ({reason}); choose another output folder",
        code="output_unwritable",
    )


def make_folder(folder: Path) -> Path:
    """Create a folder with its parents, or say why not.

    Raises:
        OutputError: it cannot be made, is a file, or cannot be written into.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise output_error(error, folder) from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise output_error(PermissionError(errno.EACCES, "no write permission"), folder)
    return folder


def sync_folder(folder: Path) -> None:
    """Flush a folder's entries to disk, so that a rename survives a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _sync_file(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def staged(folder: Path) -> Iterator[Path]:
    """Yield a scratch folder whose files all appear in `folder` on success, or none of them.

    Files are flushed before the first rename; WFDB headers move last, because a header announces a
    complete record.

    Args:
        folder: Existing output folder; the scratch folder lies inside it, so that renaming never
            crosses a disk.

    Raises:
        OutputError: the disk is full or the folder cannot be written.
    """
    try:
        scratch = Path(tempfile.mkdtemp(prefix=SCRATCH_PREFIX, dir=folder))
    except OSError as error:
        raise output_error(error, folder) from error
    try:
        yield scratch
        files = sorted(scratch.iterdir(), key=lambda path: (path.suffix == ".hea", path.name))
        for path in files:
            _sync_file(path)
        for path in files:
            path.replace(folder / path.name)
        sync_folder(folder)
    except OSError as error:
        raise output_error(error, folder) from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def write_bytes(path: Path, data: bytes) -> None:
    """Replace one file atomically.

    Raises:
        OutputError: the disk is full or the folder cannot be written.
    """
    with staged(path.parent) as scratch:
        (scratch / path.name).write_bytes(data)


def write_text(path: Path, text: str) -> None:
    """Replace one text file (UTF-8) atomically."""
    write_bytes(path, text.encode("utf-8"))


def sweep(folder: Path) -> int:
    """Remove scratch folders that a killed run left in `folder`; return how many."""
    left = [path for path in folder.glob(f"{SCRATCH_PREFIX}*") if path.is_dir()]
    for path in left:
        shutil.rmtree(path, ignore_errors=True)
    return len(left)
