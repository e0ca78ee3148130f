"""--strip-reader and --no-weights: damaged weights end the run by name, the classical pair needs
none."""

import shutil
import subprocess
import sys

import pytest

from cinc_ecg.batch import work
from cinc_ecg.batch.work import DigitizeOptions, check_readers, page_reader, strip_reader
from cinc_ecg.cli.app import run
from cinc_ecg.errors import CardError
from cinc_ecg.models.page_reader import LearnedPageReader
from cinc_ecg.models.readers import PACKAGED, PACKAGED_PAGES, LearnedStripReader


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


def test_the_packages_weights_are_checked_without_torch():
    code = (
        "import sys; from cinc_ecg.batch.work import check_readers; "
        "check_readers('learned', 'learned'); print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
    assert work._PACKAGED / "strips" == PACKAGED
    assert work._PACKAGED / "pages" == PACKAGED_PAGES


@pytest.mark.parametrize("kind", ["strip", "page"])
@pytest.mark.parametrize("harm", ["alter", "remove", "no card"])
def test_damage_to_the_packages_weights_is_seen(tmp_path, monkeypatch, harm, kind):
    shutil.copytree(PACKAGED, tmp_path / "strips")
    shutil.copytree(PACKAGED_PAGES, tmp_path / "pages")
    folder = tmp_path / f"{kind}s"
    (file,) = folder.glob("*.safetensors")
    if harm == "alter":
        file.write_bytes(file.read_bytes()[:-1] + b"x")
    else:
        (file if harm == "remove" else folder / f"{kind}_reader.json").unlink()
    monkeypatch.setattr(work, "_PACKAGED", tmp_path)
    asked = []

    def load(name):
        asked.append(name)
        raise CardError("damaged")

    monkeypatch.setattr(work, f"{kind}_reader", load)
    with pytest.raises(CardError):
        check_readers("learned", "learned")
    assert asked == ["learned"]


def test_a_damaged_page_reader_is_named(tmp_path, capsys):
    folder = tmp_path / "weights"
    shutil.copytree(PACKAGED_PAGES, folder)
    (file,) = folder.glob("*.safetensors")
    file.write_bytes(file.read_bytes()[:-1])
    command = ["digitize", str(tmp_path), "-o", str(tmp_path / "out")]
    assert run([*command, "--page-reader", str(folder)]) == 2
    message = capsys.readouterr().err
    assert "weights_damaged" in message
    assert file.name in message
    assert run([*command, "--page-reader", str(folder), "--no-weights"]) == 2
    assert "weights_damaged" not in capsys.readouterr().err


def test_packaged_page_weights_load():
    assert isinstance(page_reader("learned"), LearnedPageReader)
    assert page_reader("classical") is None
