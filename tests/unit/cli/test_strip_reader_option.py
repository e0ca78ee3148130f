"""--strip-reader and --no-weights: damaged weights end the run by name, the classical pair needs
none."""

import shutil

import pytest

from cinc_ecg.batch.work import DigitizeOptions, strip_reader
from cinc_ecg.cli.app import run
from cinc_ecg.models.readers import PACKAGED, LearnedStripReader


def test_packaged_weights_load():
    assert isinstance(strip_reader("learned"), LearnedStripReader)
    assert strip_reader("classical") is None
    assert DigitizeOptions().strip_reader in ("classical", "learned")


@pytest.mark.parametrize("harm", ["alter", "remove", "truncate"])
def test_damaged_weights_are_named(tmp_path, capsys, harm):
    folder = tmp_path / "weights"
    shutil.copytree(PACKAGED, folder)
    (file,) = folder.glob("*.safetensors")
    data = file.read_bytes()
    file.unlink()
    if harm != "remove":
        file.write_bytes(data[:-1] + (b"" if harm == "truncate" else bytes([data[-1] ^ 1])))
    command = ["digitize", str(tmp_path), "-o", str(tmp_path / "out")]
    assert run([*command, "--strip-reader", str(folder)]) == 2
    message = capsys.readouterr().err
    assert "weights_damaged" in message
    assert file.name in message


def test_a_folder_without_a_card_is_refused(tmp_path, capsys):
    code = run(["digitize", "x.png", "-o", str(tmp_path), "--strip-reader", str(tmp_path)])
    assert code == 2
    assert "strip_reader.json" in capsys.readouterr().err
