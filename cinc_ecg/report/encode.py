"""Pictures to bytes."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from cinc_ecg.errors import OutputError


def encode_png(pixels: NDArray[np.uint8]) -> bytes:
    """Return an RGB picture as PNG bytes, the same for the same pixels.

    Raises:
        OutputError: the encoder failed (picture too large for PNG).
    """
    done, data = cv2.imencode(".png", pixels[..., ::-1])
    if not done:
        raise OutputError(f"a picture of {pixels.shape[1]}x{pixels.shape[0]} cannot be encoded")
    return data.tobytes()
