"""Which versions of torch and torchvision can be imported together."""

import pytest

from rlvr_world import torch_pair
from rlvr_world.torch_pair import check_torch_pair, mismatch


@pytest.mark.parametrize(
    ("torch", "torchvision", "system"),
    [
        ("2.14.1", "0.29.1", "Linux"),
        ("2.13.0+cpu", "0.28.0+cpu", "Linux"),
        ("2.13.0", "0.28.0", "Darwin"),
        ("2.11.0+cu130", "0.26.0", "Linux"),
    ],
)
def test_pairs_that_fit(torch, torchvision, system):
    assert mismatch(torch, torchvision, system) is None


@pytest.mark.parametrize(
    ("torch", "torchvision", "wanted"),
    [
        ("2.13.0", "0.29.1", "torchvision==0.28.*"),
        ("2.13.0+cpu", "0.28.0", "torchvision==0.28.*' --index-url .*/cpu"),
        ("2.8.0", "0.2.2", "torchvision==0.23.*"),
    ],
)
def test_pairs_that_break_say_what_to_install(torch, torchvision, wanted):
    import re

    assert re.search(wanted.replace("*'", r"\*'"), mismatch(torch, torchvision, "Linux"))


def test_the_installed_pair_is_checked(monkeypatch):
    check_torch_pair()
    monkeypatch.setattr(torch_pair, "version", {"torch": "2.13.0", "torchvision": "0.2"}.get)
    with pytest.raises(ModuleNotFoundError, match="cannot be imported together"):
        check_torch_pair()
