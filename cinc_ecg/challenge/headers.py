"""Getters over the text of a WFDB header, as the Challenge's drivers and teams use them.

Signal lines are split at single spaces, because the hidden headers blank three fields and keep the
spaces: the lead name is always field 8.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

substring_labels = "# Labels:"
substring_images = "# Image:"

T = TypeVar("T")


def get_variable(string: str, variable_name: str) -> tuple[str, bool]:
    """Return (value, found) of a line that starts with a name; the last such line counts."""
    values = _tagged(string, variable_name)
    return (values[-1].strip(), True) if values else ("", False)


def get_variables(string: str, variable_name: str, sep: str = ",") -> tuple[list[str], bool]:
    """Return (items, found) of all lines that start with a name, stripped, empty ones kept."""
    values = _tagged(string, variable_name)
    return [item.strip() for value in values for item in value.split(sep)], bool(values)


def _tagged(string: str, name: str) -> list[str]:
    return [line[len(name) :] for line in string.split("\n") if line.startswith(name)]


def get_signal_files_from_header(string: str) -> list[str]:
    """Return the sample files of the header, each once."""
    return list(dict.fromkeys(line.split(" ")[0] for line in _signal_lines(string)))


def get_image_files_from_header(string: str) -> list[str]:
    """Return the picture files named by the header.

    Raises:
        Exception: no `# Image:` line.
    """
    images, found = get_variables(string, substring_images)
    if not found:
        raise Exception(f"No images available: the header has no line {substring_images!r}.")
    return images


def get_labels_from_header(string: str) -> list[str]:
    """Return the labels named by the header.

    Raises:
        Exception: no `# Labels:` line.
    """
    labels, found = get_variables(string, substring_labels)
    if not found:
        raise Exception(f"No labels available: the header has no line {substring_labels!r}.")
    return labels


def _record_field(string: str, index: int) -> str | None:
    fields = string.split("\n", maxsplit=1)[0].rstrip("\r").split(" ")
    return fields[index] if len(fields) > index and fields[index] else None


def get_record_name(string: str) -> str:
    """Return the record's name, without a number of segments."""
    return (_record_field(string, 0) or "").split("/")[0].strip()


def get_num_signals(string: str) -> int | None:
    """Return the number of signals, or None."""
    value = _record_field(string, 1)
    return int(value) if value and is_integer(value) else None


def get_sampling_frequency(string: str) -> float | None:
    """Return the sampling rate in Hz, or None."""
    value = (_record_field(string, 2) or "").split("/")[0]
    return float(value) if is_number(value) else None


def get_num_samples(string: str) -> int | None:
    """Return the number of samples per signal, or None."""
    value = _record_field(string, 3)
    return int(value) if value and is_integer(value) else None


def _signal_lines(string: str) -> list[str]:
    count = get_num_signals(string) or 0
    return [line.rstrip("\r") for line in string.split("\n")[1 : 1 + count]]


def _per_signal(string: str, index: int, convert: Callable[[str], T]) -> list[T]:
    return [convert(line.split(" ")[index]) for line in _signal_lines(string)]


def get_signal_formats(string: str) -> list[str]:
    """Return the storage formats without samples per frame, skew and offset."""

    def bare(field: str) -> str:
        for sign in "x:+":
            field = field.split(sign, maxsplit=1)[0]
        return field

    return _per_signal(string, 1, bare)


def get_adc_gains(string: str) -> list[float]:
    """Return digital units per physical unit."""
    return _per_signal(string, 2, lambda field: float(field.split("/")[0].split("(")[0]))


def get_baselines(string: str) -> list[int]:
    """Return the digital value of 0; the ADC zero where none is given."""

    def baseline(line: str) -> int:
        fields = line.split(" ")
        if "(" in fields[2]:
            return int(fields[2].split("(")[1].split(")")[0])
        return int(fields[4])

    return [baseline(line) for line in _signal_lines(string)]


def get_signal_units(string: str) -> list[str]:
    """Return the physical units, mV where none is given."""
    return _per_signal(string, 2, lambda field: field.split("/")[1] if "/" in field else "mV")


def get_adc_resolutions(string: str) -> list[int]:
    """Return the resolution in bits per signal."""
    return _per_signal(string, 3, int)


def get_adc_zeros(string: str) -> list[int]:
    """Return the ADC zero per signal."""
    return _per_signal(string, 4, int)


def get_initial_values(string: str) -> list[int]:
    """Return the first sample per signal; hidden headers have none and raise ValueError."""
    return _per_signal(string, 5, int)


def get_checksums(string: str) -> list[int]:
    """Return the checksum per signal; hidden headers have none and raise ValueError."""
    return _per_signal(string, 6, int)


def get_block_sizes(string: str) -> list[int]:
    """Return the block size per signal; hidden headers have none and raise ValueError."""
    return _per_signal(string, 7, int)


def get_signal_names(string: str) -> list[str]:
    """Return the lead names as spelt in the header."""
    return _per_signal(string, 8, str.strip)


def is_number(x: object) -> bool:
    """Tell whether something reads as a number, NaN and infinity included."""
    try:
        float(x)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return False
    return True


def is_integer(x: object) -> bool:
    """Tell whether something reads as a whole number ("3.0" does)."""
    return is_number(x) and float(x).is_integer()  # type: ignore[arg-type]
