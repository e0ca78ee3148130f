"""The backbone keeps the contract."""

import pytest
from cinc_ecg_plainnet.network import names

from cinc_ecg.testing import check_image_backbone


@pytest.mark.parametrize("name", names())
def test_contract(name):
    assert check_image_backbone(f"plainnet:{name}")


def test_pictures_of_one_channel():
    assert check_image_backbone("plainnet:narrow", in_channels=1, image_size=(64, 160))
