import numpy as np
import pytest
import torch
from torch import nn

from conftest import make_track
from dualface.device import Device
from dualface.models.dual import Logits
from dualface.predict import score_videos

CPU = Device(torch.device("cpu"), torch.float32)


class Brightness(nn.Module):
    """Stands in for the network: a logit is how bright a face is, a video's the mean of its window's."""

    def forward(self, faces, lengths, *, frames):
        bright = faces.float().mean(dim=(1, 2, 3)) / 32 - 4
        frame = torch.zeros(len(lengths), frames)
        for row, part in enumerate(bright.split(lengths.tolist())):
            frame[row, : len(part)] = part
        video = torch.stack([part.mean() for part in bright.split(lengths.tolist())])
        return Logits(video, frame)


def scored(tracks, *, frames, stride):
    return list(score_videos(Brightness(), tracks, frames=frames, stride=stride, device=CPU))


@pytest.mark.parametrize(("frames", "stride"), [(4, 3), (20, 1), (3, 1), (5, 2)])
def test_each_frame_gets_its_own_score_whatever_the_windows(frames, stride):
    track = make_track("clip", count=13)
    (video,) = scored([(track, 1)], frames=frames, stride=stride)
    bright = torch.from_numpy(track.faces).float().mean(dim=(1, 2, 3)) / 32 - 4
    np.testing.assert_allclose(video.frame_score, torch.sigmoid(bright).numpy(), rtol=1e-5)
    assert video.frame.tolist() == track.index.tolist()
    assert video.frame_label.tolist() == track.labels.tolist()
    assert (video.key, video.label) == ("clip", 1)


def test_a_long_video_is_as_suspicious_as_its_most_suspicious_block():
    quiet, loud = make_track("quiet", count=8), make_track("loud", count=4, fake=True)
    faces = np.concatenate([quiet.faces, loud.faces])
    track = make_track("clip", count=12)
    track.faces[:] = faces
    (whole,) = scored([(track, 1)], frames=4, stride=1)
    (last,) = scored([(loud, 1)], frames=4, stride=1)
    assert whole.score == pytest.approx(last.score, rel=1e-6)
    assert 0 <= whole.score <= 1


def test_one_video_is_held_at_a_time():
    alive = []

    def tracks():
        for number in range(3):
            alive.append(number)
            yield make_track(f"clip{number}"), 0

    results = score_videos(Brightness(), tracks(), frames=4, stride=1, device=CPU)
    next(results)
    assert alive == [0]
