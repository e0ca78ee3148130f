"""Signals that a diagnosis is tested on: the recordings, and pages drawn from them and digitized.

Digitizing takes seconds a page, so results are kept in a folder, one file per condition and
recording: `FOLDER/<condition>/<record>.npz` with `samples_mv` (n, 12), `fs_hz`, and `refusal`,
which is "" or the reason code.
"""

import zlib
from pathlib import Path

import numpy as np

from benchmarks.pages import condition_page
from benchmarks.sources import DURATION_S, first_seconds
from cinc_ecg.digitization.pipeline import DigitizeConfig, digitize
from cinc_ecg.errors import CincEcgError
from cinc_ecg.io.atomic import make_folder, staged
from cinc_ecg.io.records import read_signal
from cinc_ecg.leads import LEADS
from cinc_ecg.types import EcgImage, Signal

#: Kept signals have at most this rate; no Dx model looks at more.
_FS_HZ = 250.0


def digitized(path: Path, condition: str, keep: Path) -> tuple[Signal, str]:
    """Return the digitized signal of a recording's page, and the reason code of a refusal.

    The page depends on the condition and the recording's name alone.

    Args:
        path: The recording, without extension.
        condition: Name in `benchmarks/conditions`.
        keep: Folder in which results are kept.

    Returns:
        The signal (no lead when the page was refused) and "" or the reason code.
    """
    file = keep / condition / f"{path.name}.npz"
    if not file.is_file():
        _make(path, condition, file)
    with np.load(file) as kept:
        leads = LEADS if kept["samples_mv"].shape[1] == len(LEADS) else ()
        signal = Signal(kept["samples_mv"], float(kept["fs_hz"]), leads)
        return signal, str(kept["refusal"])


def _make(path: Path, condition: str, file: Path) -> None:
    signal = first_seconds(read_signal(path))
    number = zlib.crc32(path.name.encode())
    image, _ = condition_page(condition, number, signal, 0)
    image = EcgImage(image.pixels, f"{condition}-{path.name}", 0, image.dpi)
    samples, refusal = np.empty((0, 0), np.float32), ""
    try:
        result = digitize(image, config=DigitizeConfig(fs_hz=_FS_HZ, duration_s=DURATION_S))
        columns = [
            result.signal.samples_mv[:, result.signal.leads.index(lead)]
            if lead in result.signal.leads
            else np.full(len(result.signal.samples_mv), np.nan, np.float32)
            for lead in LEADS
        ]
        samples = np.stack(columns, axis=1)
    except CincEcgError as error:
        refusal = error.reason_code
    make_folder(file.parent)
    with staged(file.parent) as folder:
        np.savez_compressed(folder / file.name, samples_mv=samples, fs_hz=_FS_HZ, refusal=refusal)
