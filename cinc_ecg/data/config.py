"""What is fed to a network: which records, how pages are drawn from them, what is varied."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from cinc_ecg.errors import ConfigError
from cinc_ecg.layouts import TEMPLATES


@dataclass(frozen=True, slots=True)
class PageOptions:
    """Pages drawn from the records' signals.

    Attributes:
        style: "clean" draws the standard page, "vary" another paper, pen, grid and font each time.
        severity: Damage of pages of style "vary": 0 none, 1 bad.
        layouts: Names of `cinc_ecg.layouts`, drawn evenly; those with too many rows for the model
            are an error.
        dpi: Range of the resolution.
        page_s: Seconds of signal per page.
        jitter_mm: How far the edges of the rectified canvas move at random.
        per_record: Different pages drawn of each record.
        keep: Keep drawn pages in memory (about 1.5 MB each at 512 x 1024).
    """

    style: Literal["clean", "vary"] = "vary"
    severity: float = 0.0
    layouts: tuple[str, ...] = ("3x4+1",)
    dpi: tuple[float, float] = (100.0, 130.0)
    page_s: float = 10.0
    jitter_mm: float = 1.5
    per_record: int = 1
    keep: bool = True


@dataclass(frozen=True, slots=True)
class SignalOptions:
    """Signals given to the view "signal".

    Attributes:
        windows: Share of training samples cut to what a page of `layouts` prints; in evaluation
            every sample is cut when it is above 0.
        layouts: Layouts for that.
        noise_mv, wander_mv: Largest standard deviation of added noise and baseline wander.
        gain: Largest relative change of the gain.
        drop_lead: Chance that a lead is missing.
        shift_s: Largest shift in time.
    """

    windows: float = 0.5
    layouts: tuple[str, ...] = ("3x4+1",)
    noise_mv: float = 0.02
    wander_mv: float = 0.05
    gain: float = 0.1
    drop_lead: float = 0.03
    shift_s: float = 0.5


@dataclass(frozen=True, slots=True)
class DataConfig:
    """Which data and how they are varied.

    Attributes:
        folder: Challenge folder (WFDB headers with samples, pictures, labels); may be empty when
            `simulated` is not.
        source: "rendered" draws pages from the signals; "images" takes the records' own pictures,
            placed by the classical digitizer.
        simulated: Simulated records added to the training records.
        label_table: Table (CSV) with the columns dataset, record_id, mapped_label, whose labels
            replace those of the headers; records it does not list are OTHER.
        dataset: Which data set of that table the folder is; empty = by record name alone.
        max_records: Use at most this many records, 0 = all.
        workers: Processes that prepare samples; 0 = the training process itself.
        augment: Vary colours, noise and signals of training samples.
    """

    folder: str = ""
    source: Literal["rendered", "images"] = "rendered"
    simulated: int = 0
    label_table: str = ""
    dataset: str = ""
    max_records: int = 0
    workers: int = 0
    augment: bool = True
    pages: PageOptions = field(default_factory=PageOptions)
    signals: SignalOptions = field(default_factory=SignalOptions)


def check(config: DataConfig, n_rows: int | None = None) -> None:
    """Refuse settings that cannot work.

    Args:
        config: The settings.
        n_rows: Trace rows of the model, where it has them.

    Raises:
        ConfigError: an unknown layout, one with too many rows, or a number out of range.
    """
    for name in (*config.pages.layouts, *config.signals.layouts):
        if name not in TEMPLATES:
            raise ConfigError(
                f"data: layout {name!r} is not known; use one of {', '.join(TEMPLATES)}",
                code="layout_unknown",
            )
    for name in config.pages.layouts:
        rows = len(TEMPLATES[name].all_rows)
        if n_rows is not None and rows > n_rows:
            raise ConfigError(
                f"data.pages.layouts: {name} has {rows} rows, the model {n_rows}; "
                f"set model.head.n_rows={rows}"
            )
    if not 0 < config.pages.dpi[0] <= config.pages.dpi[1] <= 600:
        raise ConfigError("data.pages.dpi must be two numbers, ascending, at most 600")
    if config.pages.per_record < 1 or config.pages.page_s <= 0 or not config.pages.layouts:
        raise ConfigError("data.pages: per_record, page_s and layouts must not be empty")
