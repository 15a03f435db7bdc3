"""Score the videos of a split: P(fake) of each frame and each video."""

import sys

from tqdm import tqdm

from dualface import checkpoint, device, entry, params, scores, split
from dualface.errors import SubsetError
from dualface.predict import score_videos
from dualface.shards.read import Shards


def main() -> None:
    """Read model, split and shards; write the scores, a video at a time."""
    args = entry.paths(
        __doc__,
        model="folder of weights and card",
        split="which video is used for what",
        shards="folder of shards",
        scores="out: scores of frames and videos",
    )
    settings = params.load(args.params)
    model, card = checkpoint.load(args.model)
    machine, shards = device.pick(), Shards(args.shards)
    chosen = split.of(split.read(args.split), settings.score.split)
    if not chosen:
        raise SubsetError(f"{args.split}: split {settings.score.split!r} holds no videos; look at params.yaml, subset")
    sys.stderr.write(f"scoring on {machine}\n")
    tracks = ((shards.read(key), label) for key, label in tqdm(chosen.items(), unit="video", desc="score"))
    window = {"frames": int(card.model["frames"]), "stride": int(card.model["stride"])}
    scores.write(args.scores, score_videos(model.to(machine.torch), tracks, device=machine, **window))


if __name__ == "__main__":
    entry.run(main)
