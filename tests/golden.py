"""The golden data beside the repository: outputs of the official implementations, and the weights that gave them."""

import hashlib
import json
import zlib
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

# Entries of Capsule that were filled with a wider range, so that its statistics differ between capsules.
WIDE = ("vgg_1.", "fea_ext.")


def load(shared: Path, name: str) -> tuple[dict, dict[str, np.ndarray]]:
    """Load the facts (NAME.json) and the arrays (NAME.npz) of a golden file; a name may have a folder."""
    folder = shared / "golden"
    facts = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
    with np.load(folder / f"{name}.npz", allow_pickle=False) as arrays:
        return facts, dict(arrays)


def synthfill(manifest: list[dict], sha256: str | None = None) -> dict[str, Tensor]:
    """Make the deterministic weights of the golden outputs (golden/README.md, synthfill-1), under official names.

    Args:
        manifest: entries with `name`, `shape` and `first3`, the first values, which are checked.
        sha256: `weights_sha256` of the golden file, which is checked. It is of the whole network: those of `cnn_gru`
            and `cnn_lstm` are of the `cnn.*` entries of `ours_gru_dual` and their own.
    """
    weights = {one["name"]: fill(one["name"], one["shape"]) for one in manifest}
    for one in manifest:
        first = weights[one["name"]].flatten()[:3].double().numpy()
        np.testing.assert_array_equal(first, one["first3"], err_msg=one["name"])
    if sha256 is not None:
        assert digest(weights) == sha256, "the weights are not those of the golden file"
    return weights


def fill(name: str, shape: list[int]) -> Tensor:
    """Make one entry."""
    if name.endswith("num_batches_tracked"):
        return torch.zeros((), dtype=torch.int64)
    uniform = 2 * np.random.RandomState(zlib.crc32(name.encode())).random_sample(shape) - 1
    fan_in = np.prod(shape[1:])
    if name.endswith("running_mean"):
        value = 0.1 * uniform
    elif name.endswith("running_var"):
        value = 1 + 0.5 * uniform
    elif len(shape) == 1:
        value = 1 + 0.2 * uniform if name.rpartition(".")[2] == "weight" else 0.1 * uniform
    elif name == "routing_stats.route_weights":
        value = np.sqrt(3) * uniform
    else:
        value = np.sqrt((6 if name.startswith(WIDE) else 3) / fan_in) * uniform
    return torch.from_numpy(value.astype(np.float32))


def digest(weights: dict[str, Tensor]) -> str:
    """Return the sha256 of the float32 tensors, in the order of the manifest."""
    whole = hashlib.sha256()
    for tensor in weights.values():
        if tensor.dtype == torch.float32:
            whole.update(tensor.numpy().tobytes())
    return whole.hexdigest()


def random_faces(arrays: dict[str, np.ndarray], name: str, shape: tuple[int, ...]) -> Tensor:
    """Make the uint8 NHWC faces of which the golden file holds only the sha256, as `NAME_sha256`."""
    faces = np.random.RandomState(0).randint(0, 256, shape, dtype=np.uint8)
    assert hashlib.sha256(faces.tobytes()).hexdigest() == str(arrays[f"{name}_sha256"]), name
    return torch.from_numpy(faces)


def pixels(faces: Tensor | np.ndarray, *, mean: tuple[float, ...], std: tuple[float, ...]) -> Tensor:
    """Turn uint8 NHWC RGB faces into `(N, 3, H, W)` float32: /255, then (x - mean) / std."""
    scaled = torch.as_tensor(faces).to(torch.float32) / 255
    return ((scaled - torch.tensor(mean)) / torch.tensor(std)).permute(0, 3, 1, 2).contiguous()


def close(actual: Tensor, wanted: np.ndarray, *, rtol: float = 1e-4, atol: float = 1e-5) -> None:
    """Compare with the official output, by default with the tolerance of logits."""
    torch.testing.assert_close(actual.detach(), torch.from_numpy(wanted), rtol=rtol, atol=atol)
