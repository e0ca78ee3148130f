"""Views: what a network looks at, and how its backbone's features reach the heads.

- `PageView`: the whole rectified page; all row heat maps at once.
- `RowsView`: one crop per trace row through shared weights, each row seeing the others.
- `PanelsView`: up to `n_panels` pictures of single leads, each decoded to its own lead.
- `SignalView`: a digitized signal, for the diagnosis.

Every view takes the batch (a dictionary of tensors, see `network`) and returns a `NetworkOutput`.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from cinc_ecg.errors import ConfigError
from cinc_ecg.models.attention import PanelFusion, RowFusion
from cinc_ecg.models.config import ModelConfig
from cinc_ecg.models.heads import (
    ColumnPool,
    DxHead,
    FlatWaves,
    PooledWaves,
    RowHeat,
    RowReading,
    WaveDecoder,
)
from cinc_ecg.models.neck import CoordPyramid, FineFeatures, Shallow, pad_to, padded_size
from cinc_ecg.models.readout import KEYS, read_leads


class NetworkOutput(NamedTuple):
    """What a network says; None where it has no such head.

    Attributes:
        signal_mv: (B, leads, T) mV.
        visible_logit: (B, leads, T): whether a sample is printed and legible.
        heat: (B, R, H', W') heat logits over y, a cell being `head.heat_stride_*` px.
        row_y_px: (B, R, W') y of the trace in input pixels.
        row_visible_logit: (B, R, W').
        logits: (B, classes).
    """

    signal_mv: Tensor | None = None
    visible_logit: Tensor | None = None
    heat: Tensor | None = None
    row_y_px: Tensor | None = None
    row_visible_logit: Tensor | None = None
    logits: Tensor | None = None


class _ImageView(nn.Module):
    """What the three image views share: the padded, normalised picture and its feature maps."""

    mean: Tensor
    std: Tensor

    def __init__(self, config: ModelConfig, backbone: nn.Module) -> None:
        super().__init__()
        self.config = config
        self.backbone = backbone
        self.frozen = config.backbone.frozen
        self.channels: tuple[int, ...] = tuple(backbone.channels)  # type: ignore[arg-type]
        self.strides: tuple[int, ...] = tuple(backbone.strides)  # type: ignore[arg-type]
        for name in ("mean", "std"):
            values = torch.tensor(tuple(getattr(backbone, name)), dtype=torch.float32)
            # kept with the weights: what they expect does not follow from the backbone's name
            self.register_buffer(name, values.view(1, 3, 1, 1))
        head = config.head
        self.cell = head.heat_stride_y, head.heat_stride_x
        multiple = int(backbone.min_multiple)  # type: ignore[arg-type]
        self.multiple = math.lcm(multiple, *self.cell)
        #: (height, width) px that the backbone is tied to, or None
        self.bound: tuple[int, int] | None = getattr(backbone, "image_size", None)
        self.padded = self.bound or padded_size(config.image_size, self.multiple)
        deepest = 4 * head.width if config.view == "panels" else self.channels[-1]
        self.dx = _dx_head(config, deepest)
        self.with_pyramid = head.kind == "soft_argmax" or (
            head.kind == "deconv" and config.view != "panels"
        )
        if self.with_pyramid:
            self.pyramid = CoordPyramid(self.channels, head.width)
            self.fine = FineFeatures(head.width, self.cell)

    def look(self, image: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Return the padded, normalised picture and the backbone's maps, fine to coarse."""
        height, width = image.shape[-2:]
        padded = pad_to(image, self.bound or padded_size((height, width), self.multiple))
        picture = (padded - self.mean) / self.std
        if self.frozen:
            with torch.no_grad():
                return picture, list(self.backbone(picture))
        return picture, list(self.backbone(picture))

    def fine_features(self, picture: Tensor, maps: list[Tensor], image: Tensor) -> Tensor:
        """Return what the heads read, at heat-map resolution, without the padding."""
        keep = image.shape[-2], image.shape[-1]
        features: Tensor = self.fine(self.pyramid(maps), picture, keep)
        return features

    def map_shape(self, level: int) -> tuple[int, int, int]:
        """Return (C, H, W) of a feature map for the configured picture size."""
        height, width = (-(-side // self.strides[level]) for side in self.padded)
        return self.channels[level], height, width

    def read_print(self, reading: RowReading, batch: dict[str, Tensor]) -> NetworkOutput:
        """Turn row readings into leads where the batch says how they are printed."""
        signal_mv = visible = None
        if all(key in batch for key in KEYS):
            signal_mv, visible = read_leads(
                reading.y_px,
                reading.visible_logit.float(),
                batch,
                cell_x=self.cell[1],
                n_samples=self.config.n_samples,
                fs_hz=self.config.fs_hz,
            )
        return NetworkOutput(
            signal_mv, visible, reading.heat, reading.y_px, reading.visible_logit, None
        )


def _dx_head(config: ModelConfig, channels: int) -> DxHead | None:
    dx = config.dx
    if not dx.classes:
        return None
    return DxHead(channels, len(dx.classes), hidden=dx.hidden, dropout=dx.dropout)


def _split_waves(waves: Tensor) -> NetworkOutput:
    """Split (B, 2 L, T) into the signal and its visibility."""
    signal_mv, visible = waves.float().chunk(2, dim=1)
    return NetworkOutput(signal_mv, visible)


class PageView(_ImageView):
    """The whole page at once. Batch: "image" (B, 3, H, W) in 0..1, and `readout.KEYS` for mV."""

    def __init__(self, config: ModelConfig, backbone: nn.Module) -> None:
        super().__init__(config, backbone)
        self.head = _page_head(self, n_rows=config.head.n_rows, stacked=1)

    def forward(self, batch: dict[str, Tensor]) -> NetworkOutput:
        """Return signals, row readings and logits."""
        image = batch["image"]
        picture, maps = self.look(image)
        features = self.fine_features(picture, maps, image) if self.with_pyramid else maps[-1]
        if isinstance(self.head, RowHeat):
            output = self.read_print(self.head(features), batch)
        elif self.head is not None:
            output = _split_waves(self.head(features))
        else:
            output = NetworkOutput()
        return output if self.dx is None else output._replace(logits=self.dx(maps[-1]).float())


def _page_head(view: _ImageView, *, n_rows: int, stacked: int) -> nn.Module | None:
    """Build the digitization head of a page, or of `stacked` row crops one below the other."""
    config = view.config
    head, outputs = config.head, 2 * len(config.leads)
    if head.kind == "soft_argmax":
        return RowHeat(head.width, n_rows, view.cell[0], local_px=head.local_px)
    if head.kind == "deconv":
        start = -(-config.image_size[1] // view.cell[1])
        return PooledWaves(head.width, outputs, config.n_samples, n_rows=n_rows, start=start)
    if head.kind == "fc":
        channels, height, width = view.map_shape(-1)
        return FlatWaves(
            (channels, height * stacked, width),
            outputs,
            config.n_samples,
            hidden=head.hidden,
            max_params=head.max_head_params,
        )
    return None


class RowsView(_ImageView):
    """One crop per trace row. Batch: "rows" (B, R, 3, h, W) in 0..1, "row_mask" (B, R) optional.

    Weights are shared over rows; at every level each row sees the others (`RowFusion`). y is in
    pixels of the row's own crop.
    """

    def __init__(self, config: ModelConfig, backbone: nn.Module) -> None:
        super().__init__(config, backbone)
        self.n_rows = config.head.n_rows
        fused = self.channels if self.with_pyramid else self.channels[-1:]
        self.fusion = nn.ModuleList(
            RowFusion(channels, self.n_rows, config.head.fusion) for channels in fused
        )
        heat = config.head.kind == "soft_argmax"
        self.head = _page_head(self, n_rows=1 if heat else self.n_rows, stacked=self.n_rows)

    def forward(self, batch: dict[str, Tensor]) -> NetworkOutput:
        """Return signals, row readings and logits."""
        rows = batch["rows"]
        n_batch, n_rows = rows.shape[:2]
        mask = batch.get("row_mask", rows.new_ones(n_batch, n_rows)).to(rows.dtype)
        picture, maps = self.look(rows.flatten(0, 1))
        used = maps[-len(self.fusion) :]
        maps = [fuse(level, mask) for fuse, level in zip(self.fusion, used, strict=True)]
        output = NetworkOutput()
        features = self.fine_features(picture, maps, rows) if self.with_pyramid else maps[-1]
        if isinstance(self.head, RowHeat):
            reading = self.head(features)
            apart = [part.reshape(n_batch, n_rows, *part.shape[2:]) for part in reading]
            output = self.read_print(RowReading(*apart), batch)
        elif self.head is not None:
            output = _split_waves(self.head(_stack(features, n_rows)))
        if self.dx is None:
            return output
        top = _stack(maps[-1], n_rows)
        height = maps[-1].shape[-2]
        weight = mask.repeat_interleave(height, 1)[..., None].expand(-1, -1, top.shape[-1])
        return output._replace(logits=self.dx(top, weight).float())


def _stack(features: Tensor, n_rows: int) -> Tensor:
    """Put the rows' maps (B R, C, h, w) one below the other: (B, C, R h, w)."""
    _, channels, height, width = features.shape
    apart = features.reshape(-1, n_rows, channels, height, width)
    return apart.transpose(1, 2).reshape(-1, channels, n_rows * height, width)


class PanelsView(_ImageView):
    """Pictures of single leads, each decoded to its own lead.

    Batch: "panels" (B, P, 3, h, w) in 0..1, "panel_mask" (B, P) 1 = there, "panel_lead" (B, P)
    index of the lead (anything below 0 = padding). With heat maps `readout.KEYS` say the scale, a
    panel's index standing for the row. A lead without a panel is 0 mV with visibility -20; a lead
    with several is their mean.
    """

    def __init__(self, config: ModelConfig, backbone: nn.Module) -> None:
        super().__init__(config, backbone)
        head, width = config.head, config.head.width
        self.fusion = PanelFusion(self.channels[-1], 4 * width, config.n_panels, len(config.leads))
        self.head: nn.Module | None = None
        if head.kind == "soft_argmax":
            self.head = RowHeat(width, 1, self.cell[0], local_px=head.local_px)
            self.inform = nn.Linear(4 * width, width)
        elif head.kind == "deconv":
            self.shallow = Shallow(max(8, width // 2), self.cell)
            looked_at = (max(8, width // 2), *self.channels)
            looks = [ColumnPool(c, width) for c in looked_at]
            columns = [self.padded[1] // self.cell[1]]
            columns += [self.map_shape(level)[2] for level in range(len(self.channels) - 1)]
            self.looks = nn.ModuleList(looks)
            self.head = WaveDecoder(
                4 * width + looks[-1].outputs,
                2 * width,
                2,
                config.n_samples,
                start=self.map_shape(-1)[2],
                skips=[(look.outputs, n) for look, n in zip(looks, columns, strict=False)],
            )
        elif head.kind == "fc":
            self.head = FlatWaves(
                self.map_shape(-1),
                2,
                config.n_samples,
                hidden=head.hidden,
                max_params=head.max_head_params,
            )

    def forward(self, batch: dict[str, Tensor]) -> NetworkOutput:
        """Return signals and logits, and row readings with the heat head.

        Raises:
            ConfigError: more panels than the network has an index for (model_config).
        """
        panels, lead = batch["panels"], batch["panel_lead"].long()
        n_batch, n_panels = panels.shape[:2]
        if n_panels > self.config.n_panels:
            raise ConfigError(
                f"{n_panels} panel pictures, the network takes {self.config.n_panels}; leave some "
                "out, or build it with a larger model.n_panels",
                code="model_config",
            )
        mask = batch["panel_mask"].to(panels.dtype) * (lead >= 0)
        picture, maps = self.look(panels.flatten(0, 1))
        tokens = self.fusion(maps[-1].unflatten(0, (n_batch, n_panels)), mask, lead)
        each = tokens.flatten(0, 1)
        output = NetworkOutput()
        if isinstance(self.head, RowHeat):
            features = self.fine_features(picture, maps, panels)
            reading = self.head(features + self.inform(each)[..., None, None])
            apart = [part.reshape(n_batch, n_panels, *part.shape[2:]) for part in reading]
            output = self.read_print(RowReading(*apart), batch)
        elif self.head is not None:
            waves = self._waves(picture, maps, each).unflatten(0, (n_batch, n_panels)).float()
            signal_mv, visible = self._to_leads(waves, mask, lead)
            output = NetworkOutput(signal_mv, visible)
        if self.dx is None:
            return output
        return output._replace(logits=self.dx(tokens.transpose(1, 2), mask).float())

    def _waves(self, picture: Tensor, maps: list[Tensor], tokens: Tensor) -> Tensor:
        """Decode every panel by itself: (B P, 2, T)."""
        if isinstance(self.head, FlatWaves):
            waves: Tensor = self.head(maps[-1])
            return waves
        levels = [self.shallow(picture), *maps]
        *skips, deep = (look(level) for look, level in zip(self.looks, levels, strict=True))
        told = tokens[..., None].expand(-1, -1, deep.shape[-1])
        waves = self.head(torch.cat([deep, told], 1), skips)  # type: ignore[misc]
        return waves

    def _to_leads(self, waves: Tensor, mask: Tensor, lead: Tensor) -> tuple[Tensor, Tensor]:
        """Put (B, P, 2, T) panels where their leads belong."""
        n_leads = len(self.config.leads)
        leads = torch.arange(n_leads, device=lead.device)
        share = (lead[..., None] == leads).to(waves.dtype) * mask[..., None]
        count = share.sum(1)
        share = share / count.clamp(min=1)[:, None]
        placed = torch.einsum("bpl,bpkt->bklt", share, waves)
        visible = torch.where((count > 0)[..., None], placed[:, 1], -20.0)
        return placed[:, 0], visible


class SignalView(nn.Module):
    """A digitized signal. Batch: "signal" (B, leads, T) mV, "signal_mask" of that shape.

    The mask is 1 where a sample is printed; without one, NaN says what is not. What is not printed
    is set to 0; with `mask_channels` the network is told which samples are.
    """

    def __init__(self, config: ModelConfig, backbone: nn.Module) -> None:
        super().__init__()
        self.config = config
        self.backbone = backbone
        self.frozen = config.backbone.frozen
        channels: tuple[int, ...] = tuple(backbone.channels)  # type: ignore[arg-type]
        self.dx = _dx_head(config, channels[-1])

    def forward(self, batch: dict[str, Tensor]) -> NetworkOutput:
        """Return logits."""
        signal = batch["signal"]
        mask = batch.get("signal_mask")
        printed = torch.isfinite(signal) if mask is None else mask.bool()
        x = torch.where(printed, signal, 0.0)
        if self.config.mask_channels:
            x = torch.cat([x, printed.to(x.dtype)], dim=1)
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen):
            features = self.backbone(x)
        logits = None if self.dx is None else self.dx(features).float()
        return NetworkOutput(logits=logits)


VIEWS: dict[str, type[nn.Module]] = {
    "page": PageView,
    "rows": RowsView,
    "panels": PanelsView,
    "signal": SignalView,
}
