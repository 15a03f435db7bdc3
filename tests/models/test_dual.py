import numpy as np
import pytest
import torch

import golden
from dualface.models.dual import DualNet, from_official
from dualface.models.logits import Logits
from golden import close


def official_video(shared) -> torch.Tensor:
    with np.load(shared / "golden" / "video64_2x300.npz", allow_pickle=False) as videos:
        return torch.from_numpy(videos["video"])


@pytest.fixture(scope="module")
def official(shared):
    facts, want = golden.load(shared, "ours_gru_dual")
    model = DualNet("resnet50")
    model.load_state_dict(from_official(golden.synthfill(facts["manifest"], facts["weights_sha256"])))
    return model.eval(), official_video(shared), want


@torch.inference_mode()
def run(model: DualNet, faces: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, Logits]:
    features = model.features(faces.flatten(0, 1)).unflatten(0, faces.shape[:2])
    return features, model.rnn(features)[0], model.heads(features)


def test_every_output_agrees_with_the_official_implementation(official):
    model, faces, want = official
    features, hidden, logits = run(model, faces[:, :20])
    close(features, want["cnn_feat_m20_full"])
    close(hidden, want["rnn_out_m20"])
    close(model.pool(hidden).unflatten(1, (16, 16)), want["pooled_m20"])
    close(logits.video[:, None], want["m20_video_logit_f32"])
    close(logits.frame.reshape(-1, 1), want["m20_frame_logits_f32"])


@pytest.mark.parametrize("frames", [16, 17])
def test_lengths_that_16_bins_do_and_do_not_divide(official, frames):
    model, faces, want = official
    logits = run(model, faces[:, :frames])[2]
    close(logits.video[:, None], want[f"m{frames}_video_logit_f32"])
    close(logits.frame.reshape(-1, 1), want[f"m{frames}_frame_logits_f32"])


def test_the_papers_300_frames_agree(official):
    model, faces, want = official
    features, hidden, logits = run(model, faces)
    close(features[:, ::10, :64], want["cnn_feat_m300_first64dims_every10th"])
    close(hidden[:, ::10], want["rnn_out_m300_every10th"])
    close(model.pool(hidden).unflatten(1, (16, 16)), want["pooled_m300"])
    close(logits.video[:, None], want["m300_video_logit_f32"])
    close(logits.frame.reshape(-1, 1), want["m300_frame_logits_f32"])


def test_pooling_agrees_where_bins_overlap(official):
    model, _, want = official
    close(model.pool(torch.from_numpy(want["pool_in_37"])).unflatten(1, (16, 16)), want["pool_out_37"])


@pytest.mark.parametrize("name", ["cnn_gru", "cnn_lstm"])
def test_the_corners_agree_with_the_official_implementation(shared, name):
    whole, _ = golden.load(shared, "ours_gru_dual")
    facts, want = golden.load(shared, name)
    backbone = [one for one in whole["manifest"] if one["name"].startswith("cnn.")]
    weights = from_official(golden.synthfill([*backbone, *facts["manifest"]], facts.get("weights_sha256")))
    model = DualNet("resnet50", temporal=name.removeprefix("cnn_"), levels=("video",))
    model.load_state_dict({key: tensor for key, tensor in weights.items() if not key.startswith("frame_head.")})
    with torch.inference_mode():
        faces = official_video(shared)[:, :20].flatten(0, 1)
        logits = model.eval()(faces, torch.tensor([20, 20]), frames=20)
    close(logits.video[:, None], want["m20_video_logit_f32"])
    assert logits.frame is None


@pytest.fixture(scope="module")
def small():
    torch.manual_seed(0)
    return DualNet("resnet18").eval()


def random_faces(count: int) -> torch.Tensor:
    return torch.randint(0, 256, (count, 32, 32, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


def test_the_methods_network_has_the_published_number_of_parameters():
    model = DualNet("resnet50")
    assert sum(parameter.numel() for parameter in model.parameters()) == 26_069_058


def test_new_layers_start_small_and_without_bias(small):
    for module in (small.rnn, small.frame_head, small.video_head):
        for name, parameter in module.named_parameters():
            if "bias" in name:
                assert torch.all(parameter == 0)
            else:
                assert float(parameter.detach().std()) == pytest.approx(0.01, rel=0.2)


def test_a_video_scores_the_same_alone_and_among_others(small):
    faces, lengths = random_faces(9), torch.tensor([4, 5])
    with torch.inference_mode():
        together = small(faces, lengths, frames=6)
        alone = small(faces[:4], lengths[:1], frames=6)
    torch.testing.assert_close(together.video[0], alone.video[0], rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(together.frame[0], alone.frame[0], rtol=1e-5, atol=1e-6)


def test_a_frozen_backbone_stays_as_it_is_in_training():
    model = DualNet("cnn4")
    model.freeze_backbone()
    before = {name: tensor.clone() for name, tensor in model.backbone.state_dict().items()}
    logits = model.train()(torch.randint(0, 256, (4, 32, 32, 3), dtype=torch.uint8), torch.tensor([4]), frames=4)
    logits.video.sum().backward()
    assert all(torch.equal(before[name], tensor) for name, tensor in model.backbone.state_dict().items())
    assert all(one.grad is None for one in model.backbone.parameters())
    assert model.rnn.training
    assert model.rnn.weight_ih_l0.grad is not None


def test_padding_repeats_the_last_face(small):
    faces = random_faces(3)
    with torch.inference_mode():
        padded = small(faces, torch.tensor([3]), frames=5)
        repeated = small(faces[[0, 1, 2, 2, 2]], torch.tensor([5]), frames=5)
    torch.testing.assert_close(padded.video, repeated.video, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(padded.frame, repeated.frame, rtol=1e-5, atol=1e-6)


def test_padding_does_not_reach_batch_normalisation():
    states = []
    for frames in (4, 50):
        torch.manual_seed(0)
        model = DualNet("resnet18").train()
        model(random_faces(6), torch.tensor([2, 4]), frames=frames)
        states.append(model.backbone.state_dict()["bn1.running_mean"])
    assert torch.equal(*states)


def test_logits_keep_their_precision_under_autocast(small):
    with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16):
        logits = small(random_faces(3), torch.tensor([3]), frames=4)
    assert logits.video.dtype == logits.frame.dtype == torch.float32


def test_a_later_frame_does_not_change_an_earlier_score(small):
    faces = random_faces(6)
    with torch.inference_mode():
        short = small(faces[:4], torch.tensor([4]), frames=6).frame[0, :4]
        long = small(faces, torch.tensor([6]), frames=6).frame[0, :4]
    torch.testing.assert_close(short, long, rtol=1e-5, atol=1e-6)
