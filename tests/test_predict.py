import numpy as np
import pytest
import torch
from torch import nn

from conftest import make_track
from dualface.device import Device
from dualface.errors import CheckpointError
from dualface.models.dual import DualNet
from dualface.models.logits import Logits
from dualface.predict import FACES_AT_ONCE, PADDING, score_videos

CPU = Device(torch.device("cpu"), torch.float32)


class Brightness(nn.Module):
    """Stands in for the network: a logit is how bright a face is, a video's the mean of its window's."""

    def __init__(self):
        super().__init__()
        self.passes = []

    def forward(self, faces, lengths, *, frames):
        self.passes.append(lengths.tolist())
        assert lengths.device.type == "cpu"
        bright = faces.float().mean(dim=(1, 2, 3)) / 32 - 4
        frame = torch.zeros(len(lengths), frames)
        for row, part in enumerate(bright.split(lengths.tolist())):
            frame[row, : len(part)] = part
        video = torch.stack([part.mean() for part in bright.split(lengths.tolist())])
        return Logits(video, frame)


def scored(tracks, *, frames, stride, overlap=0, model=None, faces_at_once=FACES_AT_ONCE):
    settings = {"frames": frames, "stride": stride, "overlap": overlap, "faces_at_once": faces_at_once}
    return list(score_videos(model or Brightness(), tracks, device=CPU, **settings))


@pytest.mark.parametrize(("frames", "stride"), [(4, 3), (20, 1), (3, 1), (5, 2)])
@pytest.mark.parametrize("overlap", [0, 0.5, 0.9])
def test_each_frame_gets_its_own_score_whatever_the_windows(frames, stride, overlap):
    track = make_track("clip", count=13)
    (video,) = scored([(track, 1)], frames=frames, stride=stride, overlap=overlap)
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


class Ordered(nn.Module):
    """Stands in for the network: a face's logit depends on its place in the window, as after a recurrent layer."""

    def forward(self, faces, lengths, *, frames):
        mean = faces.float().mean(dim=(1, 2, 3)) / 128 - 1
        frame = torch.zeros(len(lengths), frames)
        for row, part in enumerate(mean.split(lengths.tolist())):
            frame[row, : len(part)] = part.cumsum(0)
        return Logits(frame.mean(dim=1), frame)


def test_a_frames_score_is_the_mean_over_overlapping_windows_and_the_videos_the_highest():
    track = make_track("clip", count=6)
    (video,) = scored([(track, 1)], frames=4, stride=1, overlap=0.5, model=Ordered())
    mean = torch.from_numpy(track.faces).float().mean(dim=(1, 2, 3)).double() / 128 - 1
    first, last = mean[:4].cumsum(0), mean[2:].cumsum(0)
    expected = torch.zeros(6, dtype=torch.float64)
    expected[:4] += first.sigmoid()
    expected[2:] += last.sigmoid()
    np.testing.assert_allclose(video.frame_score, (expected / torch.tensor([1, 1, 2, 2, 1, 1])).numpy(), rtol=1e-5)
    assert video.score == pytest.approx(max(first.mean().sigmoid(), last.mean().sigmoid()).item(), rel=1e-5)


class OneLevel(Brightness):
    """Gives the scores of one level only."""

    def __init__(self, level):
        super().__init__()
        self.level = level

    def forward(self, faces, lengths, *, frames):
        logits = super().forward(faces, lengths, frames=frames)
        return logits._replace(video=None) if self.level == "frame" else logits._replace(frame=None)


def test_a_method_that_judges_frames_gives_a_video_their_mean():
    track = make_track("clip", count=13)
    (video,) = scored([(track, 1)], frames=4, stride=2, model=OneLevel("frame"))
    (whole,) = scored([(track, 1)], frames=4, stride=2)
    np.testing.assert_array_equal(video.frame_score, whole.frame_score)
    assert video.score == pytest.approx(float(whole.frame_score.mean()), rel=1e-6)


def test_a_method_that_judges_videos_gives_no_frames():
    track = make_track("clip", count=13)
    (video,) = scored([(track, 1)], frames=4, stride=2, model=OneLevel("video"))
    (whole,) = scored([(track, 1)], frames=4, stride=2)
    assert video.score == whole.score
    assert (len(video.frame), len(video.frame_label), len(video.frame_score)) == (0, 0, 0)


COUNTS = [3, 50, 1, 8, 8, 2, 17, 1, 1, 30]


@pytest.mark.parametrize("faces_at_once", [1, 7, 20, 64, 10**6])
def test_videos_together_are_scored_as_one_by_one(faces_at_once):
    torch.manual_seed(0)
    model = DualNet("resnet18").eval()
    with torch.no_grad():
        model.video_head.weight.normal_()
        model.frame_head.weight.normal_()
    tracks = [(make_track(f"clip{i}", count=n, side=32, seed=i), i % 2) for i, n in enumerate(COUNTS)]
    window = {"frames": 6, "stride": 2, "overlap": 0.5, "model": model}
    together = scored(tracks, **window, faces_at_once=faces_at_once)
    alone = [scored([one], **window)[0] for one in tracks]
    assert [(video.key, video.label) for video in together] == [(track.key, label) for track, label in tracks]
    for one, other in zip(together, alone, strict=True):
        np.testing.assert_allclose(one.frame_score, other.frame_score, atol=1e-5)
        assert one.score == pytest.approx(other.score, abs=1e-5)


def test_a_pass_has_no_more_faces_than_it_may():
    model = Brightness()
    tracks = [(make_track(f"clip{i}", count=n), 0) for i, n in enumerate(COUNTS)]
    scored(tracks, frames=6, stride=2, model=model, faces_at_once=20)
    assert max(map(sum, model.passes)) <= 20
    assert sum(map(sum, model.passes)) >= sum(COUNTS)
    assert len(model.passes) < sum(map(len, model.passes))  # some hold several videos


def test_padding_is_bounded_too():
    model = Brightness()
    scored(
        [(make_track(f"clip{i}", count=1), 0) for i in range(40)], frames=80, stride=1, model=model, faces_at_once=40
    )
    assert max(map(len, model.passes)) * 80 <= PADDING * 40


def test_no_more_videos_are_held_than_a_pass_takes():
    taken = []

    def tracks():
        for number in range(1000):
            taken.append(number)
            yield make_track(f"clip{number}", count=5), 0

    results = score_videos(Brightness(), tracks(), frames=10, stride=1, overlap=0, device=CPU, faces_at_once=20)
    for told, _ in enumerate(results):
        assert len(taken) - told <= 4


def test_scores_that_are_no_numbers_name_their_video():
    broken = DualNet("resnet18")
    with torch.no_grad():
        broken.frame_head.bias.fill_(float("nan"))
    with pytest.raises(CheckpointError, match="'clip' scores that are no numbers") as caught:
        scored([(make_track("clip", side=32), 0)], frames=4, stride=1, model=broken)
    assert "\n" not in str(caught.value)
