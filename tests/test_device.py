import pytest
import torch

from dualface import device
from dualface.errors import DualfaceError


def test_the_variable_names_the_device(monkeypatch):
    monkeypatch.setenv("DUALFACE_DEVICE", "cpu")
    picked = device.pick(threads=1)
    assert picked.torch == torch.device("cpu")
    assert str(picked) in ("cpu, float32", "cpu, bfloat16")


@pytest.mark.parametrize("name", ["cuda:99", "toaster"])
def test_a_device_that_is_not_there_is_refused(monkeypatch, name):
    monkeypatch.setenv("DUALFACE_DEVICE", name)
    with pytest.raises(DualfaceError, match=f"expected cpu, cuda or cuda:N .* got '{name}'"):
        device.pick(threads=1)
