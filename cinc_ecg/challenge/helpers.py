"""The helper functions that Challenge code expects to import, on top of this package.

The root module `helper_code` re-exports them; the organizers may put their own in its place.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cinc_ecg.challenge.headers import (
    get_adc_gains,
    get_adc_resolutions,
    get_adc_zeros,
    get_baselines,
    get_block_sizes,
    get_checksums,
    get_image_files_from_header,
    get_initial_values,
    get_labels_from_header,
    get_num_samples,
    get_num_signals,
    get_record_name,
    get_sampling_frequency,
    get_signal_files_from_header,
    get_signal_formats,
    get_signal_names,
    get_signal_units,
    get_variable,
    get_variables,
    is_integer,
    is_number,
    substring_images,
    substring_labels,
)
from cinc_ecg.io.records import find_records as _find_records
from cinc_ecg.io.wfdb_records import Encoding, read_with_fields, rewrite_record
from cinc_ecg.metrics.official import compute_snr, normalize_names, reorder_signal
from cinc_ecg.metrics.official_align import align_signals, convert_signal, fft_correlate
from cinc_ecg.metrics.official_classification import (
    compute_f_measure,
    compute_one_hot_encoding,
    compute_one_vs_rest_confusion_matrix,
    is_nan,
)
from cinc_ecg.metrics.official_extra import (
    compute_asci_metric,
    compute_ks_metric,
    compute_weighted_absolute_difference,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL import Image

__all__ = [
    "align_signals",
    "cast_int_float_unknown",
    "compute_asci_metric",
    "compute_f_measure",
    "compute_ks_metric",
    "compute_one_hot_encoding",
    "compute_one_vs_rest_confusion_matrix",
    "compute_snr",
    "compute_weighted_absolute_difference",
    "convert_signal",
    "fft_correlate",
    "find_records",
    "get_adc_gains",
    "get_adc_resolutions",
    "get_adc_zeros",
    "get_baselines",
    "get_block_sizes",
    "get_checksums",
    "get_header_file",
    "get_image_files",
    "get_image_files_from_header",
    "get_initial_values",
    "get_labels_from_header",
    "get_num_samples",
    "get_num_signals",
    "get_record_name",
    "get_sampling_frequency",
    "get_signal_files",
    "get_signal_files_from_header",
    "get_signal_formats",
    "get_signal_names",
    "get_signal_units",
    "get_variable",
    "get_variables",
    "is_finite_number",
    "is_integer",
    "is_nan",
    "is_number",
    "load_header",
    "load_images",
    "load_labels",
    "load_signals",
    "load_text",
    "normalize_names",
    "reorder_signal",
    "save_header",
    "save_labels",
    "save_signals",
    "save_text",
    "substring_images",
    "substring_labels",
]


def find_records(folder: str) -> list[str]:
    """Return all records under a folder: relative paths without extension, sorted."""
    return _find_records(Path(folder))


def load_text(filename: str) -> str:
    """Return the text of a file."""
    return Path(filename).read_text(encoding="utf-8")


def save_text(filename: str, string: str) -> None:
    """Write a text file."""
    Path(filename).write_text(string, encoding="utf-8")


def get_header_file(record: str) -> str:
    """Return a record's header file."""
    return record if record.endswith(".hea") else record + ".hea"


def load_header(record: str) -> str:
    """Return the text of a record's header."""
    return load_text(get_header_file(record))


def save_header(record: str, header: str) -> None:
    """Write the text of a record's header."""
    save_text(get_header_file(record), header)


def get_signal_files(record: str) -> list[str]:
    """Return the sample files named in a record's header; none without a header."""
    if not os.path.isfile(get_header_file(record)):
        return []
    return get_signal_files_from_header(load_header(record))


def get_image_files(record: str) -> list[str]:
    """Return the picture files named in a record's header; none without a header."""
    if not os.path.isfile(get_header_file(record)):
        return []
    return get_image_files_from_header(load_header(record))


def load_signals(record: str) -> tuple[NDArray[np.float64], dict[str, Any]] | tuple[None, None]:
    """Return (samples, fields) of a record, or (None, None) when a sample file is missing."""
    folder = os.path.dirname(record)
    files = get_signal_files(record)
    if not files or not all(os.path.isfile(os.path.join(folder, name)) for name in files):
        return None, None
    return read_with_fields(Path(record.removesuffix(".hea")))


def load_images(record: str) -> list[Image.Image]:
    """Open the pictures of a record in header order, leaving out files that do not exist."""
    from PIL import Image

    folder = os.path.dirname(record)
    paths = [os.path.join(folder, name) for name in get_image_files(record)]
    return [Image.open(path) for path in paths if os.path.isfile(path)]


def load_labels(record: str) -> list[str]:
    """Return the labels of a record.

    Raises:
        Exception: the header has no line for them.
    """
    return get_labels_from_header(load_header(record))


def save_signals(record: str, signal: NDArray[np.floating], comments: Sequence[str] = ()) -> None:
    """Write samples for a record whose header is already there and says how to store them.

    Args:
        record: Path of the record.
        signal: (n_samples, n_signals) in the header's units and order; NaN allowed.
        comments: Header comments, with or without '#'.
    """
    header = load_header(record)
    encoding = Encoding(
        fs_hz=get_sampling_frequency(header) or 0.0,
        leads=tuple(get_signal_names(header)),
        units=tuple(get_signal_units(header)),
        formats=tuple(get_signal_formats(header)),
        gains=tuple(get_adc_gains(header)),
        baselines=tuple(get_baselines(header)),
    )
    bare = [comment.replace("#", "").strip() for comment in comments]
    rewrite_record(Path(record.removesuffix(".hea")), signal, encoding, bare)


def save_labels(record: str, labels: Sequence[str]) -> str:
    """Append the labels to a record's header and return its new text."""
    header = load_header(record) + f"{substring_labels} {', '.join(labels)}\n"
    save_header(record, header)
    return header


def is_finite_number(x: object) -> bool:
    """Tell whether something reads as a finite number."""
    return is_number(x) and math.isfinite(float(x))  # type: ignore[arg-type]


def cast_int_float_unknown(x: Any) -> int | float | str:
    """Return a number as int where it is whole, as float otherwise, "Unknown" if not finite.

    Raises:
        NotImplementedError: not a number. ValueError: the text of a whole number with a point.
    """
    if is_integer(x):
        return int(x)
    if is_finite_number(x):
        return float(x)
    if is_number(x):
        return "Unknown"
    raise NotImplementedError(f"Unable to cast {x!r}.")
