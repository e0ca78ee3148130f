import logging

import numpy as np
import pytest

from cinc_ecg.errors import ConfigError, RecordError, TrainingError
from cinc_ecg.training.config import load_train_config
from cinc_ecg.training.tasks import build_task, sample_weights, split_records


def config(folder, tiny, *more):
    return load_train_config(None, [*tiny, f"data.folder={folder}", *more])


def test_simulated_records_are_added_to_training_alone(ecg_folder, tiny):
    split = split_records(config(ecg_folder, tiny, "data.simulated=3"))
    names = [recording.name for recording in split.training]
    assert sum(name.startswith("simulated") for name in names) == 3
    assert not any(r.name.startswith("simulated") for r in split.held_out)
    assert len(split.training) + len(split.held_out) == 9


@pytest.mark.parametrize("fold", [0, 1, 2])
def test_every_record_is_held_out_once(ecg_folder, tiny, fold):
    more = ["cv.n_folds=3"]
    parts = [split_records(config(ecg_folder, tiny, *more, f"cv.val_fold={k}")) for k in range(3)]
    held = [recording.name for part in parts for recording in part.held_out]
    assert sorted(held) == [f"r{k}" for k in range(6)]
    part = parts[fold]
    assert not {r.name for r in part.training} & {r.name for r in part.held_out}


def test_one_record_is_trained_and_measured_on(tmp_path, tiny, write_ecg):
    write_ecg(tmp_path, "only", 1, labels=["NORM"])
    split = split_records(config(tmp_path, tiny))
    assert split.held_out_is_training
    assert len(split.training) == len(split.held_out) == 1


def test_a_label_table_replaces_the_headers_labels(ecg_folder, tiny, tmp_path):
    rows = [f"mine,r{k}.hea,{'AF' if k < 3 else 'NORM'}" for k in range(5)]
    table = tmp_path / "unified_label_mapping.csv"
    table.write_text("\n".join(["dataset,record_id,mapped_label", *rows]) + "\n")
    more = [f"data.label_table={table}", "data.dataset=mine", "cv.val_fold=-1"]
    task = build_task(config(ecg_folder, tiny, *more))
    assert task.card.training["labels"] == {"NORM": 2, "AF": 3, "OTHER": 1}
    assert task.config.model.dx.classes == ("NORM", "AF")


def test_the_task_says_what_it_cannot_do(ecg_folder, tiny, tmp_path, write_ecg, caplog):
    write_ecg(tmp_path / "mute", "r", 1, labels=None)
    with pytest.raises(TrainingError) as caught, caplog.at_level(logging.WARNING):
        build_task(config(tmp_path / "mute", tiny))
    assert caught.value.reason_code == "no_labels"
    with pytest.raises(ConfigError, match=r"data\.folder"):
        build_task(load_train_config(None, tiny))
    for file in ecg_folder.glob("*.dat"):
        file.unlink()
    with pytest.raises(RecordError) as none:
        build_task(config(ecg_folder, tiny))
    assert none.value.reason_code == "no_records"


def test_rare_labels_come_up_more_often(ecg_folder, tiny, write_ecg):
    write_ecg(ecg_folder, "rare", 9, labels=["PVC"])
    split = split_records(config(ecg_folder, tiny, "cv.val_fold=-1"))
    weights = sample_weights(split.training, per_record=2)
    by_name = dict(zip([r.name for r in split.training for _ in (0, 1)], weights, strict=True))
    assert len(weights) == 2 * len(split.training)
    assert by_name["rare"] > 1.5 * by_name["r0"]
    assert np.isfinite(weights).all()
