"""`prepare images`: one `# Image:` line per header, naming the record's pictures."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

from cinc_ecg.challenge.prepare.folders import (
    PrepareReport,
    copy_file,
    copy_signals,
    each_record,
    header_parts,
    save_header,
)
from cinc_ecg.io.raw_records import read_header_text
from cinc_ecg.io.records import IMAGE_TAG

#: Lower case only, as in the official script.
IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg")


def prepare_images(
    input_folder: Path,
    output_folder: Path,
    *,
    progress: Callable[[int, int], None] | None = None,
) -> PrepareReport:
    """Write every record's header with exactly one picture line; in place when the folders are one.

    A record without pictures gets an empty line. JSON files beside the pictures are not referenced.

    Args:
        input_folder: Records and their pictures, NAME-SUFFIX.png beside NAME.hea.
        output_folder: Gets headers, sample files and pictures.
        progress: Called with (done, all).

    Raises:
        InputError: The input folder cannot be used.
        OutputError: The output folder cannot be written.
    """
    pictures = find_pictures(input_folder)

    def prepare(record: str, source: Path, target: Path) -> None:
        record_line, signals, comments = header_parts(source)
        names = pictures.get(record, [])
        copy_signals(read_header_text(source), source, target)
        for name in names:
            copy_file(source.parent / name, target.parent / name)
        kept = [line for line in comments if not line.startswith(IMAGE_TAG)]
        save_header(target, [record_line, *signals, *kept, f"{IMAGE_TAG} {', '.join(names)}"])

    return each_record(input_folder, output_folder, prepare, progress=progress)


def find_pictures(folder: Path) -> dict[str, list[str]]:
    """Return the pictures of each record (relative path), in order of their suffixes."""
    found: dict[str, dict[str, str]] = defaultdict(dict)
    for path in sorted(folder.rglob("*")):
        stem, dash, suffix = path.stem.rpartition("-")
        if path.suffix in IMAGE_SUFFIXES and dash and path.is_file():
            record = str(path.parent.relative_to(folder) / stem)
            found[record][path.name] = suffix
    return {record: sort_by_suffix(names) for record, names in found.items()}


def sort_by_suffix(suffix_of: dict[str, str]) -> list[str]:
    """Sort file names by suffix: as numbers when all are, else as text (so 0, 2, 10)."""
    if all(suffix.isdigit() for suffix in suffix_of.values()):
        return sorted(suffix_of, key=lambda name: int(suffix_of[name]))
    return sorted(suffix_of, key=lambda name: suffix_of[name])
