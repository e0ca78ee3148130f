import pytest
import torch


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


#: A signal network so small that an epoch takes a fraction of a second.
TINY = (
    "model.view=signal",
    "model.backbone.name=cinc:resnet1d_wang?width=8",
    "model.head.kind=none",
    "model.dx.classes=[auto]",
    "model.dx.hidden=8",
    "model.n_samples=200",
    "model.fs_hz=50",
    "training.batch_size=2",
    "training.epochs=3",
)


@pytest.fixture
def tiny():
    """Give the overrides of a tiny signal run."""
    return list(TINY)
