"""Draw training strips with torch, on a CPU or a GPU, together with their exact targets.

A stroke is the set of points within half a pen of a polyline. Where the polyline is the graph of a
function that set is, at every abscissa, one interval (`strip_scene` computes its two ends), so a
pixel's coverage is the part of it that the interval covers, averaged over a few sub-columns:
anti-aliased, and linear in the number of pixels. Everything random is in the scene or comes from a
generator per strip, so a strip is the same in any batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
import torch
from scipy.special import erf
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from cinc_ecg.data.strip_scene import NODES_PER_COLUMN, SUBCOLUMNS, Scene

#: Brightness of evenly lit paper in the strips of the pipeline.
_WHITE = 235.0 / 255.0
#: Dots of a dotted grid line: pitch in mm and share of the pitch that is inked.
_DOT_PITCH_MM, _DOT_SHARE = 0.5, 0.4
#: Longer than any point spread.
_FAR_PX = 64.0
#: JPEG's luminance quantisation at quality 50, one value per zigzag diagonal (close enough to the
#: standard's table for noise).
_JPEG_BASE, _JPEG_SLOPE = 10.0, 6.0


@dataclass(frozen=True, slots=True)
class StripBatch:
    """Strips with targets.

    Attributes:
        pixels: (B, 3, H, W) RGB in 0..1, in steps of 1/255.
        baseline_px, above_px, below_px: (B,) levels of the row and its neighbours.
        px_per_mm: (B,) scale.
        line_px: (B, N) centre line of the own stroke, N = NODES_PER_COLUMN * (W - 1) + 1.
        visible: (B, N) True where its ink can be seen.
        ink: (B, H, W) coverage of the own stroke, 0..1, sharp.
    """

    pixels: Tensor
    baseline_px: Tensor
    above_px: Tensor
    below_px: Tensor
    px_per_mm: Tensor
    line_px: Tensor
    visible: Tensor
    ink: Tensor

    def __len__(self) -> int:
        return len(self.pixels)

    def to(self, device: str | torch.device) -> StripBatch:
        """Return the strips on a device."""
        return StripBatch(*(getattr(self, f.name).to(device) for f in fields(self)))

    def parts(self, n: int) -> list[StripBatch]:
        """Return the strips in batches of n, the last one perhaps smaller."""
        cuts = (slice(k, k + n) for k in range(0, len(self), n))
        return [StripBatch(*(getattr(self, f.name)[cut] for f in fields(self))) for cut in cuts]

    def mirrored(self) -> StripBatch:
        """Return the strips flipped left to right."""
        flip = {f.name: getattr(self, f.name) for f in fields(self)}
        for name in ("pixels", "line_px", "visible", "ink"):
            flip[name] = flip[name].flip(-1)
        return StripBatch(**flip)

    def turned(self) -> StripBatch:
        """Return the strips flipped upside down: negative leads, neighbours exchanged."""
        last = self.pixels.shape[-2] - 1.0
        return replace(
            self,
            pixels=self.pixels.flip(-2),
            ink=self.ink.flip(-2),
            line_px=last - self.line_px,
            baseline_px=last - self.baseline_px,
            above_px=last - self.below_px,
            below_px=last - self.above_px,
        )


@torch.no_grad()
def render_strips(scenes: Sequence[Scene], device: str | torch.device = "cpu") -> StripBatch:
    """Draw scenes of one size.

    Args:
        scenes: From `strip_scene.draw_scene`.
        device: Where to draw.

    Returns:
        The strips on that device.
    """
    drawn = [_render_one(scene, device) for scene in scenes]
    return StripBatch(
        pixels=torch.stack([pixels for pixels, _, _ in drawn]),
        baseline_px=_numbers([s.baseline_px for s in scenes], device),
        above_px=_numbers([s.above_px for s in scenes], device),
        below_px=_numbers([s.below_px for s in scenes], device),
        px_per_mm=_numbers([s.px_per_mm for s in scenes], device),
        line_px=torch.stack([_to(s.line_px, device) for s in scenes]),
        visible=torch.stack([visible for _, _, visible in drawn]),
        ink=torch.stack([own for _, own, _ in drawn]),
    )


def _numbers(values: Sequence[float], device: str | torch.device) -> Tensor:
    return torch.tensor(values, dtype=torch.float32, device=device)


def _to(array: np.ndarray, device: str | torch.device) -> Tensor:
    return torch.from_numpy(array).to(device)


def _render_one(scene: Scene, device: str | torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Return pixels (3, H, W), the own stroke's coverage (H, W) and where the line is visible."""
    look = scene.look
    own = _coverage(scene, 0, device)
    trace = own
    for k in range(1, len(scene.top)):
        if scene.bottom[k].max() > -1.0 and scene.top[k].min() < own.shape[0]:
            trace = torch.maximum(trace, _coverage(scene, k, device))
    passed = _grid(scene, device)
    passed *= 1.0 - trace * _to(look.ink, device)[:, None, None]
    if scene.clutter.any():
        clutter = _to(scene.clutter, device).float() / 255.0
        passed *= 1.0 - clutter * _to(look.text_ink, device)[:, None, None]
    occluder = _to(scene.occluder, device).float() / 255.0
    if scene.occluder.any():
        patch = _to(scene.patch, device)[:, None, None].expand_as(passed)
        passed = torch.lerp(passed, patch, occluder)
    return _develop(passed, scene), own, _visible(scene, occluder)


def _coverage(scene: Scene, k: int, device: str | torch.device) -> Tensor:
    """Integrate the interval between a stroke's edges over each pixel, times the ink's density."""
    height, width = scene.clutter.shape
    total = torch.zeros(height, width, device=device)
    inked = scene.bottom[k] > scene.top[k]
    if not inked.any():
        return total
    first = int(np.clip(np.floor(scene.top[k][inked].min()), 0, height))
    last = int(np.clip(np.ceil(scene.bottom[k][inked].max()) + 1, first, height))
    upper, lower = _to(scene.top[k], device), _to(scene.bottom[k], device)
    density = _to(scene.density[k], device) / SUBCOLUMNS
    row = torch.arange(first, last, dtype=torch.float32, device=device)[:, None] - 0.5
    band = total[first:last]
    for part in range(SUBCOLUMNS):
        pick = slice(part, None, SUBCOLUMNS)
        below = (lower[pick] - row).clamp_(0.0, 1.0)
        below -= (upper[pick] - row).clamp_(0.0, 1.0)
        band.addcmul_(below, density[pick].expand_as(below))
    return total


def _grid(scene: Scene, device: str | torch.device) -> Tensor:
    """Return the light that the grid lets pass, (3, H, W)."""
    look, scale = scene.look, scene.px_per_mm
    height, width = scene.clutter.shape
    x = torch.arange(width, dtype=torch.float32, device=device)[None, :]
    y = torch.arange(height, dtype=torch.float32, device=device)[:, None]
    u = (x - _to(look.lean, device)[:, None]) / scale + look.phase_mm[0]
    v = (y - _to(look.wave, device)[None, :]) / scale + look.phase_mm[1]
    passed = torch.ones(3, height, width, device=device)
    for k, pitch in enumerate((1.0, 5.0)):
        if look.grid_mm[k] <= 0:
            continue
        upright, level = (_lines(w, pitch, look.grid_mm[k] / 2.0, scale) for w in (u, v))
        if k == 0 and look.dotted:
            upright, level = upright * _dots(v), level * _dots(u)
        ink = _to(look.grid_ink[k], device)[:, None, None]
        passed *= 1.0 - torch.maximum(upright, level) * ink
    return passed


def _lines(u: Tensor, pitch: float, half: float, scale: float) -> Tensor:
    """Return the coverage of lines at the multiples of `pitch`, half-width `half`, all in mm."""
    turns = u / pitch
    away = (turns - turns.round()).abs_()
    # A line thinner than a pixel inks no more than its own width of it.
    most = min(1.0, 2.0 * half * scale)
    return away.mul_(-pitch * scale).add_(half * scale + 0.5).clamp_(0.0, most)


def _dots(u: Tensor) -> Tensor:
    return ((u / _DOT_PITCH_MM) % 1.0 < _DOT_SHARE).float()


def _optics(n: int, n_out: int, sigma: float, smear: float) -> np.ndarray:
    """Return the (n_out, n) matrix that blurs a line of n pixels and samples it at n_out pixels.

    The point spread is a Gaussian of `sigma` folded with a box as long as the smear or as an output
    pixel, whichever is longer; all lengths in input pixels. Beyond the ends the line goes on level.
    """
    pitch = n / n_out
    half = max(smear, pitch) / 2.0
    centre = (np.arange(n_out) + 0.5) * pitch - 0.5
    border = np.arange(n + 1) - 0.5
    border[0], border[-1] = -_FAR_PX, n + _FAR_PX
    away = border[None, :] - centre[:, None]
    # Integral of the box-blurred Gaussian up to each pixel border.
    root = sigma * np.sqrt(2.0)
    rise = _ramp((away + half) / root) - _ramp((away - half) / root)
    share = np.diff(rise * root / (4.0 * half), axis=1)
    matrix: np.ndarray = (share / share.sum(axis=1, keepdims=True)).astype(np.float32)
    return matrix


def _ramp(x: np.ndarray) -> np.ndarray:
    """Return the integral of the error function."""
    ramp: np.ndarray = x * erf(x) + np.exp(-np.minimum(x * x, 80.0)) / np.sqrt(np.pi)
    return ramp


def _develop(light: Tensor, scene: Scene) -> Tensor:
    """Turn light (3, H, W) into the strip's pixels: camera, file format, light correction."""
    look = scene.look
    generator = torch.Generator(light.device).manual_seed(_noise_seed(scene))
    size = light.shape[-2:]
    small = (max(16, round(size[0] * look.scale)), max(16, round(size[1] * look.scale)))
    across = _optics(size[1], small[1], look.blur_px[0], look.motion_px[0])
    down = _optics(size[0], small[0], look.blur_px[1], look.motion_px[1])
    picture = light @ torch.from_numpy(across).to(light.device).T
    picture = (torch.from_numpy(down).to(light.device) @ picture)[None] * _WHITE
    if look.grey:
        picture = picture.mean(1, keepdim=True).expand_as(picture)
    noise = torch.zeros_like(picture)
    if look.noise > 0:
        noise = noise + look.noise * _noise(picture, generator, look.grey)
    if look.grain > 0:
        coarse = _noise(picture, generator, True)
        noise = noise + 2.0 * look.grain * F.avg_pool2d(coarse, 3, 1, 1)
    picture = picture + noise
    if look.threshold > 0:
        picture = (picture > look.threshold).float().expand_as(picture) * _WHITE
    if look.jpeg > 0:
        picture = _jpeg(picture[0].clamp(0, 1), look.jpeg)[None]
    picture = (picture.clamp(0, 1) * 255.0).round() / 255.0
    if small != tuple(size):
        picture = F.interpolate(picture, size, mode="bicubic", align_corners=False)
    shade = torch.from_numpy(look.shade).to(light.device)[None, None]
    shade = F.interpolate(shade, size, mode="bicubic", align_corners=True)
    return ((picture * shade)[0].clamp(0, 1) * 255.0).round() / 255.0


def _noise_seed(scene: Scene) -> int:
    return int(np.random.default_rng([*scene.seed, 1]).integers(2**62))


def _noise(like: Tensor, generator: torch.Generator, grey: bool) -> Tensor:
    shape = (1, 1, *like.shape[-2:]) if grey else like.shape
    noise = torch.randn(shape, generator=generator, device=like.device)
    return noise.expand_as(like)


def _jpeg(picture: Tensor, quality: float) -> Tensor:
    """Quantise 8 x 8 blocks in the cosine domain as JPEG does, (3, h, w) to the same."""
    height, width = picture.shape[-2:]
    padded = F.pad(picture[None], (0, -width % 8, 0, -height % 8), mode="replicate")[0]
    k = torch.arange(8, dtype=torch.float32, device=picture.device)
    cosine = torch.cos((2 * k[None, :] + 1) * k[:, None] * np.pi / 16) / 2.0
    cosine[0] /= np.sqrt(2.0)
    rows, columns = padded.shape[-2] // 8, padded.shape[-1] // 8
    blocks = padded.reshape(3, rows, 8, columns, 8).permute(0, 1, 3, 2, 4) * 255.0
    factor = 50.0 / quality if quality < 50 else 2.0 - quality / 50.0
    step = (_JPEG_BASE + _JPEG_SLOPE * (k[:, None] + k[None, :])) * max(factor, 0.02)
    spectrum = cosine @ blocks @ cosine.T
    spectrum = (spectrum / step).round() * step
    blocks = (cosine.T @ spectrum @ cosine) / 255.0
    return blocks.permute(0, 1, 3, 2, 4).reshape(padded.shape)[:, :height, :width]


def _visible(scene: Scene, occluder: Tensor) -> Tensor:
    """Return where the pen was down, inside the strip, and not under a patch; per node."""
    height, width = occluder.shape
    line, drawn = _to(scene.line_px, occluder.device), _to(scene.drawn, occluder.device)
    column = torch.arange(len(line), device=line.device) // NODES_PER_COLUMN
    row = line.round().long()
    inside = (row >= 0) & (row < height)
    covered = occluder[row.clamp(0, height - 1), column.clamp(max=width - 1)] > 0.5
    return drawn & inside & ~covered
