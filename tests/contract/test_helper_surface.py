"""helper_code.py offers every name of the published helper file, with its parameters."""

import inspect
import subprocess
import sys
from pathlib import Path

import pytest

from cinc_ecg.challenge import helpers

ROOT = Path(__file__).resolve().parents[2]
#: Function -> its parameters; a question mark behind those that may be left out.
PUBLISHED = {
    "find_records": "folder",
    "load_header": "record",
    "save_header": "record header",
    "load_signals": "record",
    "load_images": "record",
    "load_labels": "record",
    "save_signals": "record signal comments?",
    "save_labels": "record labels",
    "load_text": "filename",
    "save_text": "filename string",
    "get_variable": "string variable_name",
    "get_variables": "string variable_name sep?",
    "get_signal_files_from_header": "string",
    "get_image_files_from_header": "string",
    "get_labels_from_header": "string",
    "get_header_file": "record",
    "get_signal_files": "record",
    "get_image_files": "record",
    "get_record_name": "string",
    "get_num_signals": "string",
    "get_sampling_frequency": "string",
    "get_num_samples": "string",
    "get_signal_formats": "string",
    "get_adc_gains": "string",
    "get_baselines": "string",
    "get_signal_units": "string",
    "get_adc_resolutions": "string",
    "get_adc_zeros": "string",
    "get_initial_values": "string",
    "get_checksums": "string",
    "get_block_sizes": "string",
    "get_signal_names": "string",
    "compute_one_vs_rest_confusion_matrix": "labels outputs classes",
    "compute_f_measure": "labels outputs",
    "normalize_names": "names_ref names_est",
    "reorder_signal": "input_signal input_channels output_channels",
    "convert_signal": "x num_quant_levels min_amp max_amp max_t",
    "fft_correlate": "A_ref A_est",
    "align_signals": "x_ref x_est num_quant_levels smooth? sigma?",
    "compute_snr": "x_ref x_est keep_nans? signal_median? noise_median?",
    "compute_ks_metric": "x_ref x_est keep_nans?",
    "compute_asci_metric": "x_ref x_est beta? keep_nans?",
    "compute_weighted_absolute_difference": "x_ref x_est sampling_frequency keep_nans?",
    "is_number": "x",
    "is_integer": "x",
    "is_finite_number": "x",
    "is_nan": "x",
    "cast_int_float_unknown": "x",
    "compute_one_hot_encoding": "data classes",
}
CONSTANTS = {"substring_labels": "# Labels:", "substring_images": "# Image:"}


def test_nothing_published_is_missing_and_nothing_else_offered():
    assert set(helpers.__all__) == set(PUBLISHED) | set(CONSTANTS)
    assert {name: getattr(helpers, name) for name in CONSTANTS} == CONSTANTS


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_helper_takes_the_published_parameters(name):
    ours = list(inspect.signature(getattr(helpers, name)).parameters.values())
    published = PUBLISHED[name].split()
    assert [p.name for p in ours[: len(published)]] == [word.rstrip("?") for word in published]
    optional = [p.default is not p.empty for p in ours]
    assert optional == [word.endswith("?") for word in published] + [True] * (
        len(ours) - len(published)
    )


def test_a_star_import_from_the_root_brings_them_all():
    code = "from helper_code import *; print(*sorted(n for n in dir() if n[0] != '_'))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert set(done.stdout.split()) == set(helpers.__all__)
