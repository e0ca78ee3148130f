"""How the parts of a page inform each other: rows at every level, panels through attention."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from cinc_ecg.models.config import Fusion


class RowFusion(nn.Module):
    """Let rows of shared weights see each other, with a residual.

    A row's neighbours tell whose a stray stroke is, and the heart beats in all rows at once.
    The last layer starts at zero: at first every row stands alone.

    Args:
        channels: Of the features.
        n_rows: Rows; "concat" is tied to it.
        kind: "shared" (own features and the mean of the others through one 1x1 convolution),
            "concat" (all rows' features through one), "volume" (3-D convolution over the rows and
            a 1x1 neighbourhood), or "none".
    """

    def __init__(self, channels: int, n_rows: int, kind: Fusion) -> None:
        super().__init__()
        self.kind, self.n_rows = kind, n_rows
        inner = max(8, channels // 2)
        self.last: nn.Module | None = None
        if kind == "shared":
            self.first: nn.Module = nn.Conv2d(2 * channels, inner, 1)
            self.last = nn.Conv2d(inner, channels, 1)
        elif kind == "concat":
            self.first = nn.Conv2d(n_rows * channels, inner, 1)
            self.last = nn.Conv2d(inner, n_rows * channels, 1)
        elif kind == "volume":
            self.first = nn.Conv3d(channels, inner, (3, 1, 1), padding=(1, 0, 0))
            self.last = nn.Conv3d(inner, channels, 1)
        if self.last is not None:
            for parameter in self.last.parameters():
                nn.init.zeros_(parameter)

    def forward(self, features: Tensor, mask: Tensor) -> Tensor:
        """Return features of the same shape.

        Args:
            features: (B R, C, h, w), row after row.
            mask: (B, R) 1 where a row exists.
        """
        if self.last is None:
            return features
        n_batch, n_rows = mask.shape
        rows = features.unflatten(0, (n_batch, n_rows))
        heard = rows * mask[..., None, None, None]
        if self.kind == "shared":
            others = heard.sum(1, keepdim=True) - heard
            count = mask.sum(1, keepdim=True) - mask
            others = others / count.clamp(min=1)[..., None, None, None]
            update = self._mix(torch.cat([rows, others], dim=2).flatten(0, 1))
        elif self.kind == "concat":
            mixed = self._mix(heard.flatten(1, 2))
            update = mixed.unflatten(1, (n_rows, -1)).flatten(0, 1)
        else:
            update = self._mix(heard.transpose(1, 2)).transpose(1, 2).flatten(0, 1)
        return features + update

    def _mix(self, x: Tensor) -> Tensor:
        mixed: Tensor = self.last(functional.gelu(self.first(x)))  # type: ignore[misc]
        return mixed


class PanelFusion(nn.Module):
    """Masked self-attention over panels, told which panel and which lead each one is.

    Averaging the panels instead makes all outputs alike; here each keeps its own token.

    Args:
        channels: Of a panel's deepest feature map.
        width: Of a token.
        n_panels, n_leads: Sizes of the two embeddings.
        n_heads: Attention heads.
    """

    def __init__(
        self, channels: int, width: int, n_panels: int, n_leads: int, n_heads: int = 4
    ) -> None:
        super().__init__()
        self.n_heads, self.n_panels, self.n_leads = n_heads, n_panels, n_leads
        self.entry = nn.Linear(2 * channels, width)
        self.index = nn.Embedding(n_panels, width)
        self.lead = nn.Embedding(n_leads, width)
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2))
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.mlp = nn.Sequential(
            nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width)
        )

    def forward(self, features: Tensor, mask: Tensor, lead: Tensor) -> Tensor:
        """Return (B, P, width) tokens, 0 for padding.

        Args:
            features: (B, P, C, h, w).
            mask: (B, P) 1 where there is a panel.
            lead: (B, P) index of its lead; below 0 = padding.
        """
        places = features.flatten(3)
        pooled = torch.cat([places.mean(-1), places.amax(-1)], dim=-1)
        index = torch.arange(features.shape[1], device=features.device)
        tokens = self.entry(pooled) + self.index(index) + self.lead(lead.clamp(min=0))
        tokens = tokens + self._attend(self.norms[0](tokens), mask)
        tokens = tokens + self.mlp(self.norms[1](tokens))
        masked: Tensor = tokens * mask[..., None]
        return masked

    def _attend(self, tokens: Tensor, mask: Tensor) -> Tensor:
        split = self.qkv(tokens).unflatten(-1, (3, self.n_heads, -1))
        query, key, value = split.permute(2, 0, 3, 1, 4)
        score = query @ key.transpose(-1, -2) / math.sqrt(query.shape[-1])
        # a large number rather than infinity: a record without any panel stays finite
        score = score + (mask[:, None, None, :] - 1) * 1e4
        mixed = (torch.softmax(score, -1) @ value).transpose(1, 2).flatten(2)
        attended: Tensor = self.out(mixed)
        return attended
