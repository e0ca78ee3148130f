import pytest

from cinc_ecg.data.ptbxl import (
    encode_snomed,
    label_recordings,
    ptbxl_number,
    read_ptbxl_table,
)
from cinc_ecg.data.recordings import Recording
from cinc_ecg.errors import InputError

STATEMENTS = (
    ",description,diagnostic,diagnostic_class\n"
    "NORM,normal,1.0,NORM\nIMI,inferior,1.0,MI\nLVH,hypertrophy,1.0,HYP\nSBRAD,slow,,\n"
)
TABLE = (
    "ecg_id,patient_id,scp_codes,strat_fold,infarction_stadium1\n"
    "1,15709.0,\"{'NORM': 100.0, 'SBRAD': 0.0}\",3,\n"
    '2,7,"{""IMI"": null, ""LVH"": null}",10,Stadium II-III\n'
    "3,8,\"{'IMI': 35.0}\",10,unknown\n"
    "4,9,\"{'IMI': 35.0}\",10,Stadium I\n"
    "5,,,,\n"
)
CLASSES = ("NORM", "MI", "Old MI", "STTC", "CD", "AFIB/AFL", "TACHY")


@pytest.fixture
def tables(tmp_path):
    (tmp_path / "t.csv").write_text(TABLE)
    (tmp_path / "s.csv").write_text(STATEMENTS)
    return tmp_path / "t.csv", tmp_path / "s.csv"


def recording(name):
    return Recording(name, None, None, (), None, name)


def test_codes_become_classes_and_stages_ages(tables):
    entries = read_ptbxl_table(*tables)
    assert set(entries) == {1, 2, 3, 4}
    assert entries[1].labels == ("BRADY", "NORM")
    assert entries[2].labels == ("HYP", "Old MI")
    assert entries[3].labels == ("MI",)
    assert entries[4].labels == ("Acute MI",)
    assert (entries[1].fold, entries[1].patient) == (3, "15709")


@pytest.mark.parametrize(
    ("name", "number"),
    [("a/00001_hr", 1), ("00312_lr", 312), ("HR06009", 6009), ("JS00001", None), ("E00001", None)],
)
def test_numbers_in_names(name, number):
    assert ptbxl_number(name) == number


def test_only_the_folds_asked_for_are_kept(tables):
    entries = read_ptbxl_table(*tables)
    names = ["x/00001_hr", "x/00002_hr", "x/00003_hr", "x/00099_hr", "y/E00002"]
    kept = label_recordings([recording(name) for name in names], entries, [10])
    assert [entry.name for entry in kept] == ["x/00002_hr", "x/00003_hr"]
    assert kept[0].labels == ("HYP", "Old MI")
    assert kept[0].group == "patient 7"


def test_sinus_rhythm_alone_is_normal_and_else_silence_means_unknown():
    targets, known = encode_snomed(["426783006"], CLASSES)
    assert targets[0] == 1
    assert known.all()
    targets, known = encode_snomed(["59118001", "164889003"], CLASSES)
    found = {name: (t, k) for name, t, k in zip(CLASSES, targets, known, strict=True)}
    assert found["CD"] == (1, 1)
    assert found["AFIB/AFL"] == (1, 1)
    assert found["NORM"] == (0, 1)
    assert found["TACHY"] == (0, 1)
    assert found["STTC"][1] == found["MI"][1] == 0
    targets, known = encode_snomed(["427084000", "426783006"], CLASSES)
    assert known[0] == 0  # a fast rhythm may be normal otherwise
    assert not encode_snomed([], CLASSES)[1].any()


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("ecg_id,scp_codes\n1,{}\n", "table_columns"),
        (TABLE + "6,1,{'NORM,3,\n", "table_value"),
    ],
)
def test_wrong_tables_are_named(tables, text, code):
    tables[0].write_text(text)
    with pytest.raises(InputError) as caught:
        read_ptbxl_table(*tables)
    assert caught.value.reason_code == code
    assert "t.csv" in str(caught.value)


def test_a_missing_table_is_named(tmp_path, tables):
    with pytest.raises(InputError, match=r"none\.csv: cannot be read"):
        read_ptbxl_table(tmp_path / "none.csv", tables[1])
