"""Scoring: a detector and the faces of videos in, P(fake) of each frame and video out."""

from collections.abc import Iterable, Iterator

import numpy as np
import torch

from dualface.batches import valid, windows
from dualface.device import Device
from dualface.models.dual import DualNet
from dualface.scores import VideoScores
from dualface.shards.sample import FaceTrack


def score_videos(
    model: DualNet, tracks: Iterable[tuple[FaceTrack, int]], *, frames: int, stride: int, device: Device
) -> Iterator[VideoScores]:
    """Score videos one by one; memory does not grow with their number.

    All faces of a video are scored, in windows like those of training (`dualface.batches.windows`). A frame's
    score is the mean over the windows that hold it; the video's is the mean over a block's windows, and where
    a video takes several blocks, the highest: it is as suspicious as its most suspicious part.

    Args:
        model: the network; it is put into evaluation mode.
        tracks: faces of a video with its label, 1 = FAKE.
        frames: faces in a window, as in training.
        stride: their distance, as in training.
        device: where it runs.

    Yields:
        Scores of each video, in the order of `tracks`.
    """
    model.eval()
    for track, label in tracks:
        total, times = np.zeros(len(track.index)), np.zeros(len(track.index))
        blocks = []
        for block in windows(len(track.index), frames=frames, stride=stride):
            video, frame = _score_block(model, track.faces, block, frames=frames, device=device)
            blocks.append(video.mean())
            rows = np.concatenate(block)
            total[rows] += frame
            times[rows] += 1
        score = float(np.float32(max(blocks)))
        frame_score = (total / times).astype(np.float32)
        yield VideoScores(track.key, label, score, track.index, track.labels, frame_score)


def _score_block(
    model: DualNet, faces: np.ndarray, block: list[np.ndarray], *, frames: int, device: Device
) -> tuple[np.ndarray, np.ndarray]:
    """Return P(fake) of each window `(W,)` and of its faces, one window after the other `(F,)`, float64."""
    lengths = torch.tensor([len(window) for window in block], device=device.torch)
    pixels = torch.from_numpy(faces[np.concatenate(block)]).to(device.torch)
    with torch.inference_mode(), device.autocast():
        logits = model(pixels, lengths, frames=frames)
    video = torch.sigmoid(logits.video.double())
    frame = torch.sigmoid(logits.frame.double())[valid(lengths, frames=frames)]
    return video.cpu().numpy(), frame.cpu().numpy()
