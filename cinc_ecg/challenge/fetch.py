"""Fetch trained weights while an image is built: python -m cinc_ecg.challenge.fetch URL HASH DIR.

Never called when the image runs, where there is no network.
"""

from __future__ import annotations

import hashlib
import io
import logging
import sys
import tarfile
from collections.abc import Sequence
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from cinc_ecg.errors import CincEcgError, InputError
from cinc_ecg.io.atomic import make_folder

_LOG = logging.getLogger(__name__)


def fetch_weights(url: str, sha256: str, folder: Path) -> list[str]:
    """Unpack a tar archive of weights into the model folder after checking its hash.

    Args:
        url: http, https or file address of a .tar, .tar.gz or .tar.xz.
        sha256: Expected hash in hexadecimal digits.
        folder: Gets the archive's files.

    Returns:
        Names of the members, sorted.

    Raises:
        InputError: It cannot be fetched, has another hash, or is no archive of plain files.
    """
    try:
        with urlopen(url) as stream:
            data = stream.read()
    except (URLError, OSError, ValueError) as error:
        raise InputError(f"{url}: cannot be fetched ({error})", code="weights_fetch") from error
    found = hashlib.sha256(data).hexdigest()
    if found != sha256.lower():
        raise InputError(
            f"{url}: has SHA-256 {found}, expected {sha256 or 'none given'}; "
            "give the hash of the file you mean",
            code="weights_hash",
        )
    make_folder(folder)
    try:
        with tarfile.open(fileobj=io.BytesIO(data)) as archive:
            names = sorted(archive.getnames())
            archive.extractall(folder, filter="data")
    except tarfile.TarError as error:
        raise InputError(f"{url}: cannot be unpacked ({error})", code="weights_archive") from error
    return names


def main(arguments: Sequence[str] | None = None) -> int:
    """Fetch as the command line says; 0 when all is well, 2 otherwise."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    words = list(sys.argv[1:] if arguments is None else arguments)
    if len(words) != 3:
        _LOG.error("usage: python -m cinc_ecg.challenge.fetch URL SHA256 FOLDER")
        return 2
    try:
        names = fetch_weights(words[0], words[1], Path(words[2]))
    except CincEcgError as error:
        _LOG.error("[%s] %s", error.reason_code, error)
        return 2
    _LOG.info("%s: %d files", words[2], len(names))
    return 0


if __name__ == "__main__":
    sys.exit(main())
