"""`prepare ptbxl | images | hide`: results of the official scripts, their crashes done right."""

import pytest
from PIL import Image

from cinc_ecg.challenge.prepare.hide import Keep, prepare_hide, trimmed
from cinc_ecg.challenge.prepare.images import find_pictures, prepare_images, sort_by_suffix
from cinc_ecg.challenge.prepare.labels import LabelFiles, challenge_labels, read_patients
from cinc_ecg.challenge.prepare.ptbxl import prepare_ptbxl
from cinc_ecg.errors import InputError
from cinc_ecg.io.records import read_header, read_signal

SUPERCLASS = {"NORM": "NORM", "IMI": "MI", "NDT": "STTC", "LVH": "HYP", "LBBB": "CD"}


@pytest.mark.parametrize(
    ("codes", "statements", "labels"),
    [
        (["NORM"], "['NSR']", ("NORM",)),
        (["IMI"], "['NSR']", ("Old MI",)),
        (["IMI"], "['ACUTE']", ("Acute MI",)),
        (["NORM"], "['ACUTE']", ("NORM", "Acute MI")),
        (["SBRAD", "AFLT", "PVC", "PAC"], "", ("PAC", "PVC", "AFIB/AFL", "BRADY")),
        (["SARRH", "SVARR"], "", ()),
        (["PSVT", "NDT", "LVH", "LBBB"], "", ("STTC", "CD", "HYP", "TACHY")),
        ([], "", ()),
    ],
)
def test_label_mapping(codes, statements, labels):
    assert challenge_labels(codes, SUPERCLASS, statements, ["ACUTE"]) == labels


def test_b11_acronyms_match_inside_longer_ones():
    assert challenge_labels(["IMI"], SUPERCLASS, "['XACUTEX']", ["ACUTE"]) == ("Acute MI",)


def test_tables(files):
    patients = read_patients(files)
    assert patients[1].labels == ("NORM",)
    assert patients[2].labels == ("Acute MI", "PVC", "AFIB/AFL")  # likelihood 0 counts
    assert patients[3].labels == ("Old MI",)
    assert patients[4].labels == ()
    assert (patients[2].age, patients[2].height, patients[2].weight) == ("300", "170.5", "Unknown")
    assert [patients[k].sex for k in (1, 2, 3)] == ["Female", "Male", "Unknown"]
    assert patients[1].patient == "15709"


def test_wrong_table_is_named(files, tmp_path):
    wrong = LabelFiles(
        files.ptbxl_mapping, files.ptbxl_mapping, files.sl_database, files.sl_mapping
    )
    with pytest.raises(InputError, match=r"scp\.csv: has no column 'ecg_id'"):
        read_patients(wrong)
    (tmp_path / "db.csv").write_text(
        "ecg_id,age,sex,height,weight,recording_date,scp_codes\n1,,,,,,x(\n"
    )
    with pytest.raises(InputError, match="scp_codes 'x\\('"):
        read_patients(files)


def test_prepare_ptbxl_writes_the_official_header(files, records, tmp_path):
    report = prepare_ptbxl(records, tmp_path / "out", files)
    assert (report.done, report.problems) == (4, ())
    lines = (tmp_path / "out/00000/00001_hr.hea").read_text().split("\n")
    assert lines[0] == "00001_hr 12 100 1000 09:17:34 09/11/1984 "
    assert lines[1] == "00001_hr.dat 16 1000.0(0)/mV 16 0 0 0 0 I"
    assert lines[13:] == [
        "# Age: 56",
        "# Sex: Female",
        "# Height: Unknown",
        "# Weight: 63",
        "# Labels: NORM",
        "",
    ]
    assert (tmp_path / "out/00000/00004_hr.hea").read_text().endswith("# Labels: \n")
    assert read_signal(tmp_path / "out/00000/00001_hr").samples_mv.shape == (1000, 12)


def test_preparing_again_in_place_keeps_other_comments_whole(files, records):
    header = records / "00000/00001_hr.hea"
    header.write_text(header.read_text() + "# Image: x.png")
    for _ in range(2):
        assert prepare_ptbxl(records, records, files).done == 4
    comments = header.read_text().splitlines()[13:]
    assert comments[:2] == ["# Image: x.png", "# Age: 56"]
    assert len(comments) == 6


def test_unlisted_records_are_reported_and_the_rest_is_done(files, records, tmp_path):
    for name in ("00009_hr", "strange"):
        (records / f"{name}.hea").write_text((records / "00000/00001_hr.hea").read_text())
    report = prepare_ptbxl(records, tmp_path / "out", files)
    assert report.done == 4
    assert [p.split("]")[0] for p in report.problems] == ["[record_unlisted", "[record_unlisted"]


def picture(path):
    Image.new("RGB", (4, 4)).save(path)


def test_prepare_images(records, tmp_path):
    folder = records / "00000"
    for name in ("00001_hr-10.png", "00001_hr-2.png", "00001_hr-0.jpg", "00002_hr-b.png"):
        picture(folder / name)
    picture(folder / "00002_hr-A.PNG")
    (folder / "00001_hr-0.json").write_text("{}")
    header = folder / "00001_hr.hea"
    header.write_text(header.read_text() + "# Image: old.png\n\n# Age: 3\n# Image: older.png\n")
    assert prepare_images(records, tmp_path / "out").done == 4
    lines = (tmp_path / "out/00000/00001_hr.hea").read_text().splitlines()
    assert lines[13:] == [
        "# Age: 3",
        "# Image: 00001_hr-0.jpg, 00001_hr-2.png, 00001_hr-10.png",
    ]
    assert (tmp_path / "out/00000/00001_hr-10.png").exists()
    assert read_header(tmp_path / "out/00000/00002_hr").images == ("00002_hr-b.png",)
    assert (tmp_path / "out/00000/00003_hr.hea").read_text().endswith("# Image: \n")
    before = {p: p.read_bytes() for p in (tmp_path / "out").rglob("*") if p.is_file()}
    assert prepare_images(tmp_path / "out", tmp_path / "out").done == 4
    assert before == {p: p.read_bytes() for p in (tmp_path / "out").rglob("*") if p.is_file()}


def test_suffixes_sort_as_numbers_only_when_all_are():
    assert sort_by_suffix({"a-10": "10", "a-9": "9"}) == ["a-9", "a-10"]
    assert sort_by_suffix({"a-10": "10", "a-9": "9", "a-x": "x"}) == ["a-10", "a-9", "a-x"]


def test_pictures_belong_to_the_name_before_the_last_dash(tmp_path):
    picture(tmp_path / "a-b-0.png")
    picture(tmp_path / "nodash.png")
    assert find_pictures(tmp_path) == {"a-b": ["a-b-0.png"]}


def full_header(folder):
    header = folder / "00000/00001_hr.hea"
    picture(folder / "00000/00001_hr-0.png")
    text = header.read_text().replace("1000\n", "1000 09:17:34 09/11/1984 \n", 1)
    header.write_text(text + "# Age: 5\n# Labels: NORM\n# Image: 00001_hr-0.png\n")
    return header


def test_hide_trims_headers_and_leaves_everything_else_behind(records, tmp_path):
    full_header(records)
    out = tmp_path / "out"
    assert prepare_hide(records, out, Keep()).done == 4
    lines = (out / "00000/00001_hr.hea").read_text().splitlines()
    assert lines[0] == "00001_hr 12 100 1000"
    assert lines[1] == "00001_hr.dat 16 1000.0(0)/mV 16 0    I"
    assert len(lines) == 13
    assert lines[12].split(" ")[8] == "V6"
    assert sorted(p.suffix for p in out.rglob("*.*")) == [".hea"] * 4
    assert read_header(out / "00000/00001_hr").leads[11] == "V6"


def test_hide_keeps_what_is_asked_for(records, tmp_path):
    full_header(records)
    out = tmp_path / "out"
    prepare_hide(records, out, Keep(waveforms=True, labels=True, images=True))
    lines = (out / "00000/00001_hr.hea").read_text().splitlines()
    assert lines[13:] == ["# Labels: NORM", "# Image: 00001_hr-0.png"]
    assert (out / "00000/00001_hr-0.png").exists()
    assert (out / "00000/00001_hr.dat").exists()


def test_b19_hiding_in_place_with_images_works_and_deletes_samples(records):
    header = full_header(records)
    for _ in range(2):
        assert prepare_hide(records, records, Keep(images=True)).problems == ()
    assert not list(records.rglob("*.dat"))
    assert (records / "00000/00001_hr-0.png").exists()
    assert header.read_text().splitlines()[13:] == ["# Image: 00001_hr-0.png"]


def test_missing_picture_is_reported_before_anything_is_hidden(records):
    header = full_header(records)
    (records / "00000/00001_hr-0.png").unlink()
    report = prepare_hide(records, records, Keep(images=True))
    assert report.done == 3
    assert "00001_hr-0.png: no such file" in report.problems[0]
    assert "# Labels: NORM" in header.read_text()
    assert (records / "00000/00001_hr.dat").exists()


def test_crlf_and_trimmed_headers(records, tmp_path):
    header = full_header(records)
    header.write_bytes(header.read_bytes().replace(b"\n", b"\r\n"))
    prepare_hide(records, tmp_path / "out", Keep(labels=True))
    text = (tmp_path / "out/00000/00001_hr.hea").read_text()
    again = trimmed(*[text.splitlines()[0], text.splitlines()[1:13], header])
    assert again == text.splitlines()[:13]
    assert text.endswith("# Labels: NORM\n")


def test_empty_and_missing_folders_are_refused(tmp_path):
    with pytest.raises(InputError, match="holds no records"):
        prepare_images(tmp_path, tmp_path / "out")
    with pytest.raises(InputError, match="not a readable folder"):
        prepare_images(tmp_path / "missing", tmp_path / "out")
