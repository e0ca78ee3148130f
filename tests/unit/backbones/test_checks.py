"""The checks for plugin authors find every broken rule."""

import pytest
import torch
from torch import nn

from cinc_ecg.testing import BackboneCheckError, check_image_backbone, check_signal_backbone


class Good(nn.Module):
    """A backbone with one map that keeps the contract; subclasses break one rule each."""

    channels, strides, min_multiple = (4,), (2,), 2
    mean = std = (0.5, 0.5, 0.5)

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, stride=2, padding=1)

    def forward(self, image):
        return [self.conv(image)]


class WrongChannels(Good):
    channels = (5,)


class WrongStride(Good):
    strides, min_multiple = (4,), 4


class CoarseFirst(Good):
    channels, strides = (4, 4), (4, 2)


class NoMean(Good):
    mean = (0.5,)


class Pixels255(Good):
    std = (58.0, 58.0, 58.0)


class ListOfChannels(Good):
    def __init__(self):
        super().__init__()
        self.channels = [4]


class NoMultiple(Good):
    min_multiple = None


class Detached(Good):
    def forward(self, image):
        return [self.conv(image).detach() + 0 * self.conv.weight.sum()]


class Unused(Good):
    def __init__(self):
        super().__init__()
        self.extra = nn.Linear(2, 2)


class Frozen(Good):
    def __init__(self):
        super().__init__()
        self.requires_grad_(False)


class Noisy(Good):
    def forward(self, image):
        out = self.conv(image)
        return [out + torch.randn_like(out)]


class Constant(Good):
    def forward(self, image):
        out = self.conv(image)
        return [out * 1e-7 + self.conv.bias[:, None, None]]


class AcrossTheBatch(Good):
    def forward(self, image):
        out = self.conv(image)
        return [out - out.mean(dim=0)]


class Infinite(Good):
    def forward(self, image):
        return [self.conv(image) / 0.0]


class HiddenState(Good):
    def __init__(self):
        super().__init__()
        self.seen = nn.Parameter(torch.ones(1))
        self._register_state_dict_hook(lambda m, state, prefix, meta: state.pop("seen") and None)
        self._register_load_state_dict_pre_hook(
            lambda state, prefix, *rest: state.update(seen=torch.zeros(1))
        )

    def forward(self, image):
        return [self.conv(image) * self.seen]


class Mapping(Good):
    def forward(self, image):
        return [{"map": self.conv(image)}]


BROKEN = {
    WrongChannels: "map 0 is",
    WrongStride: "map 0 is",
    CoarseFirst: "fine to coarse",
    NoMean: "mean",
    Pixels255: "std",
    ListOfChannels: "tuple of positive ints",
    NoMultiple: "min_multiple",
    Detached: "no gradient reaches the input",
    Unused: "get no finite gradient",
    Frozen: "trainable",
    Noisy: "two runs in eval mode differ",
    Constant: "the same for two inputs",
    AcrossTheBatch: "depends on its batch",
    Infinite: "finite",
    HiddenState: "loaded state dict gives other outputs",
    Mapping: "expected tensors",
}


def test_a_good_backbone_passes_unchanged():
    module = Good()
    before = {k: v.clone() for k, v in module.state_dict().items()}
    assert len(check_image_backbone(module)) > 5
    assert module.training
    for key, value in module.state_dict().items():
        assert torch.equal(value, before[key])
    assert all(p.grad is None for p in module.parameters())


@pytest.mark.parametrize("kind", BROKEN, ids=lambda k: k.__name__)
def test_each_broken_rule_is_found(kind):
    with pytest.raises(BackboneCheckError, match=BROKEN[kind]):
        check_image_backbone(kind())


def test_the_signal_check_wants_one_tensor():
    class Two(nn.Module):
        channels, strides, min_multiple = (4,), (1,), 1

        def __init__(self):
            super().__init__()
            self.conv = nn.Conv1d(12, 4, 1)

        def forward(self, signal):
            return [self.conv(signal), self.conv(signal)]

    with pytest.raises(BackboneCheckError, match="one tensor"):
        check_signal_backbone(Two())
    with pytest.raises(BackboneCheckError, match=r"torch\.nn\.Module"):
        check_signal_backbone(7)
