import logging

import numpy as np
import pytest

from cinc_ecg.data.labels import (
    CHALLENGE_CLASSES,
    SUPERCLASSES,
    count_classes,
    encode_labels,
    read_label_table,
    trainable_classes,
    unified_label,
)
from cinc_ecg.errors import InputError


def test_the_challenges_labels_to_the_letter():
    """The eleven names of the Challenge's announcement, which its scorer compares as text."""
    published = "NORM,Acute MI,Old MI,STTC,CD,HYP,PAC,PVC,AFIB/AFL,TACHY,BRADY"
    assert ",".join(CHALLENGE_CLASSES) == published


@pytest.mark.parametrize(
    ("labels", "positive", "unknown"),
    [
        (["NORM"], {"NORM"}, set()),
        (["norm "], {"NORM"}, set()),
        (["Acute MI", "PVC"], {"Acute MI", "PVC"}, set()),
        (["MI"], set(), {"Acute MI", "Old MI"}),
        (["MI", "Old MI"], {"Old MI"}, {"Acute MI"}),
        (["something else"], set(), set()),
        (None, set(), set(CHALLENGE_CLASSES)),
        ([], set(), set(CHALLENGE_CLASSES)),
    ],
)
def test_encoding(labels, positive, unknown):
    targets, known = encode_labels(labels, CHALLENGE_CLASSES)
    assert {c for c, t in zip(CHALLENGE_CLASSES, targets, strict=True) if t} == positive
    assert {c for c, k in zip(CHALLENGE_CLASSES, known, strict=True) if not k} == unknown


def test_infarctions_are_one_superclass():
    targets, known = encode_labels(["Old MI"], SUPERCLASSES)
    np.testing.assert_array_equal(targets, [0, 1, 0, 0, 0])
    assert known.all()


def test_classes_with_too_few_examples_are_named():
    labels = [["NORM"], ["NORM"], ["CD"], ["CD", "PVC"], None, ["odd"], ["odd"]]
    assert trainable_classes(labels) == (("NORM", "CD", "odd"), ("PVC",))
    assert count_classes(labels) == {"NORM": 2, "CD": 2, "PVC": 1, "odd": 2}
    assert trainable_classes([["NORM"]] * 5) == ((), ("NORM",))


def test_label_table_finds_records_under_any_path(tmp_path):
    file = tmp_path / "unified_label_mapping.csv"
    file.write_text(
        "dataset,record_id,mapped_label\n"
        "PTBXL,records500\\00000\\00001_hr,norm\n"
        "georgia,E00001,AF\ncpsc,E00001,BBB\ncpsc,A0002.mat,tachycardia\n"
    )
    table = read_label_table(file)
    assert unified_label(table, "records500/00000/00001_HR.hea") == "NORM"
    assert unified_label(table, "E00001", "Georgia") == "AF"
    assert unified_label(table, "/x/E00001", "cpsc") == "BBB"
    assert unified_label(table, "E00001") == "OTHER"  # two data sets share the name
    assert unified_label(table, "A0002") == "OTHER"
    assert unified_label(table, "unheard of") == "OTHER"


def test_a_missing_table_is_a_warning_and_a_wrong_one_an_error(tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        assert read_label_table(tmp_path / "none.csv") == {}
    assert "file_missing" in caplog.text
    (tmp_path / "bad.csv").write_text("a,b\n1,2\n")
    with pytest.raises(InputError, match="mapped_label"):
        read_label_table(tmp_path / "bad.csv")
