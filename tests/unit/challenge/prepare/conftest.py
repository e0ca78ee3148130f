"""Toy tables of PTB-XL and PTB-XL+, and records named as theirs."""

import numpy as np
import pytest

from cinc_ecg.challenge.prepare.labels import LabelFiles
from tests.unit.challenge.conftest import write_wfdb

DATABASE = """\
ecg_id,patient_id,age,sex,height,weight,recording_date,scp_codes
1,15709.0,56.0,1,,63.0,1984-11-09 09:17:34,"{'NORM': 100.0, 'SR': 0.0}"
2,13243.0,300.0,0,170.5,,1984-11-14 12:55:37,"{'IMI': 15.0, 'AFLT': 0.0, 'PVC': 100.0}"
3,15709.0,,2,,,,"{'IMI': 100.0, 'SARRH': 0.0}"
4,1.0,40.0,1,,,1990-01-01 00:00:00,"{'SR': 0.0}"
"""
STATEMENTS = """\
,description,diagnostic,form,rhythm,diagnostic_class
NORM,normal,1.0,,,NORM
IMI,inferior infarction,1.0,,,MI
NDT,non-diagnostic T,,1.0,,STTC
SARRH,sinus arrhythmia,,,1.0,
"""
SL_DATABASE = """\
ecg_id,statements
1,"['NSR', 'NML']"
2,"['AF', 'XACUTEX']"
3,"['NSR']"
"""
SL_MAPPING = """\
StatementNumber,Acronym,Snomed
821,ACUTE,1
963,,2
22,NSR,3
"""


@pytest.fixture
def files(tmp_path):
    paths = [tmp_path / name for name in ("db.csv", "scp.csv", "sl.csv", "map.csv")]
    texts = (DATABASE, STATEMENTS, SL_DATABASE, SL_MAPPING)
    for path, text in zip(paths, texts, strict=True):
        path.write_text(text)
    return LabelFiles(*paths)


@pytest.fixture
def records(tmp_path):
    """A folder with records 1 to 4 of ten seconds."""
    folder = tmp_path / "raw"
    t = np.arange(1000) / 100
    for k in range(1, 5):
        beat = np.exp(-(((t % 0.8 - 0.3) / 0.03) ** 2))[:, None] * np.linspace(0.4, 1, 12)
        write_wfdb(folder / "00000" / f"{k:05d}_hr", beat)
    return folder
