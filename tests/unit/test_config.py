from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest

from cinc_ecg.config import dotted_names, load_config, to_plain, to_yaml
from cinc_ecg.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Optimizer:
    lr: float = 1e-3
    kind: Literal["adamw", "sgd"] = "adamw"
    betas: tuple[float, float] = (0.9, 0.999)


@dataclass(frozen=True, slots=True)
class Run:
    optimizer: Optimizer = field(default_factory=Optimizer)
    batch_size: int = 8
    fold: int | None = None
    classes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.batch_size < 1:
            raise ConfigError("batch_size must be at least 1")


def test_file_then_overrides(tmp_path: Path):
    file = tmp_path / "run.yaml"
    file.write_text("optimizer: {lr: 0.5, kind: sgd}\nclasses: [NORM, MI]\n")
    config = load_config(Run, path=file, overrides=["optimizer.lr=5e-4", "fold=2"])
    assert config == Run(Optimizer(5e-4, "sgd"), 8, 2, ["NORM", "MI"])


def test_named_files(tmp_path: Path):
    file = tmp_path / "small.yaml"
    file.write_text("batch_size: 2\n")
    assert load_config(Run, path="small", presets={"small": file}).batch_size == 2
    with pytest.raises(ConfigError, match="small"):
        load_config(Run, path="smal", presets={"small": file})


def test_yaml_round_trip(tmp_path: Path):
    config = load_config(Run, overrides=["optimizer.betas=[0.8,0.9]", "classes=[A,B]"])
    file = tmp_path / "again.yaml"
    file.write_text(to_yaml(config))
    assert load_config(Run, path=file) == config
    assert to_plain(config)["optimizer"]["betas"] == [0.8, 0.9]


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("optimizer.lrr=1", "optimizer.lr"),
        ("optimiser.lr=1", "optimizer"),
        ("lr=1", "did you mean optimizer.lr"),
        ("optimizer.kind=adam", "adamw"),
        ("batch_size=many", "batch_size"),
        ("optimizer.betas=[1,2,3]", "length"),
        ("optimizer=3", "optimizer.lr"),
        ("batch_size", "key=value"),
        ("batch_size=0", "at least 1"),
        ("zzz=1", "known here"),
        ("classes=[a", "cannot be read"),
    ],
)
def test_mistakes_are_named(override: str, message: str):
    with pytest.raises(ConfigError, match=message) as caught:
        load_config(Run, overrides=[override])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["[1, 2]", "a: [", "\x00"])
def test_broken_files(tmp_path: Path, text: str):
    file = tmp_path / "broken.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=r"broken\.yaml"):
        load_config(Run, path=file)


def test_dotted_names():
    assert list(dotted_names(Run))[:3] == ["optimizer.lr", "optimizer.kind", "optimizer.betas"]
