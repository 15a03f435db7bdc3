"""Score the videos of a split: P(fake) of each frame and each video."""

import sys

from dualface import checkpoint, device, entry, params, scores, split
from dualface.ahead import ahead
from dualface.errors import CheckpointError, SubsetError
from dualface.predict import score_videos
from dualface.progress import bar
from dualface.shards.read import Shards

AHEAD = 4  # videos that are decoded while others are scored


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
    machine, shards = device.pick(threads=entry.workers()), Shards(args.shards)
    chosen = split.of(split.read(args.split), settings.score.split)
    if not chosen:
        raise SubsetError(f"{args.split}: split {settings.score.split!r} holds no videos; look at params.yaml, subset")
    sys.stderr.write(f"scoring on {machine}\n")
    side, known = shards.read(next(iter(chosen))).faces.shape[1], card.model["input_size"]
    if side != known:
        raise CheckpointError(f"{args.model}: trained on faces of {known} px, and the shards' have {side}: train again")
    with bar("score", unit="video", total=len(chosen)) as shown:
        tracks = ((shards.read(key), label) for key, label in chosen.items())
        scored = score_videos(model.to(machine.torch), ahead(tracks, count=AHEAD), device=machine, **card.window)
        scores.write(args.scores, (video for video in scored if shown.update() or True))


if __name__ == "__main__":
    entry.run(main)
