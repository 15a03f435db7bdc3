"""The `dualface` command: what people ask for outside the pipeline."""

import argparse
import json
import os
import re
import sys
from pathlib import Path

import yaml

from dualface import entry, ledger, manifest, params
from dualface import scan as scanning
from dualface.datasets import faceforensics, ffpp
from dualface.errors import DualfaceError, ListingError, TableError
from dualface.version import VERSION

DESCRIPTION = "Deepfake detection on two levels, frame and video. The pipeline itself runs with `dvc repro`."
SCAN = """\
List the videos of a data set, once, as a CSV that git keeps and `dvc repro` starts from. No video is read: file
names, sizes and the set's own lists say all. Hidden files are left out. A part of a set is fine: what is missing
is counted and told.

  celebdf   Celeb-DF v2: ROOT holds Celeb-real, YouTube-real, Celeb-synthesis and List_of_testing_videos.txt
  ffpp      FaceForensics++: ROOT holds original_sequences and manipulated_sequences
  dfd       DFD, the actors' videos that come with FaceForensics++, in the same ROOT
  dfdc      DFDC: ROOT holds dfdc_train_part_0, ..., or is one part, or train_sample_videos, with its metadata.json
  folder    ROOT holds real and fake, with videos at any depth; or ROOT is a CSV with the columns path, label (real
            or fake; or 0 and 1, with 1 = fake), and where known identity, split and frames (the fake ones: 0:50 80:99)
"""
METHODS = "List the methods that train.method can name: their networks' parameters and cost, licence and reference."
IMPORT = """\
Convert published weights to .safetensors, to train on from: dvc exp run -S train.method=METHOD -S train.init=FILE.
Nothing in a file is executed.

  meso4, mesoinception4     .h5 of Keras; the size of the face is told by the file
  xception                  ImageNet's xception-b5690688.pth; FaceForensics++'s networks
  capsule                   without its VGG-19 trunk, which is ImageNet's: train.weights=imagenet
  dsp_fwa, bbn              as their authors published them
  dual, cnn_gru, cnn_lstm   torchvision's ResNets, for the backbone; networks of the published code
"""
RAW = argparse.RawDescriptionHelpFormatter


def main() -> None:
    """Run the command; mistakes become one line."""
    entry.run(command)


def command() -> None:
    """Parse the arguments and do what they ask."""
    arguments = parser().parse_args(sys.argv[1:] or ["--help"])
    match arguments.command:
        case "scan":
            scan(arguments)
        case "show":
            show(arguments.file)
        case "ledger":
            show_ledger(arguments.file, arguments.manifest, everything=arguments.all)
        case "params":
            show_params(arguments.file)
        case "methods":
            show_methods(arguments.method)
        case "import-weights":
            import_weights(arguments.method, arguments.file, out=arguments.out)


def parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    top = argparse.ArgumentParser(prog="dualface", description=DESCRIPTION)
    top.add_argument("--version", action="version", version=f"dualface {VERSION}")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    one = commands.add_parser(
        "scan",
        help="list the videos of a data set",
        description=SCAN,
        formatter_class=RAW,
    )
    one.add_argument("dataset", metavar="DATASET", choices=scanning.DATASETS, help=", ".join(scanning.DATASETS))
    one.add_argument("root", metavar="ROOT", type=Path, help="where the data set lies")
    one.add_argument("--name", help="of the listing, data/sources/NAME.csv (default: DATASET)")
    one.add_argument("--out", type=Path, metavar="FILE", help="write the listing here instead")
    for option, sets, values in (
        ("--quality", "ffpp, dfd", faceforensics.QUALITIES),
        ("--method", "ffpp", ffpp.METHODS),
    ):
        text = f"{sets}: take this one only ({', '.join(values)}); may be given several times"
        one.add_argument(option, action="append", default=[], choices=values, metavar=option[2:].upper(), help=text)
    for name, what, file in (
        ("show", "print the figures of a run", "results/metrics.json"),
        ("ledger", "print what came of each video that has no faces, or not all", "data/ledger.parquet"),
        ("params", "check parameters and print them", "params.yaml"),
    ):
        one = commands.add_parser(name, help=what, description=f"{what.capitalize()}.")
        one.add_argument("file", type=Path, nargs="?", default=Path(file), metavar="FILE", help="default: %(default)s")
        if name == "ledger":
            one.add_argument("--all", action="store_true", help="print the others, too")
            text = "where the videos' paths stand (default: %(default)s; without it, keys are printed)"
            one.add_argument("--manifest", type=Path, default=Path("data/manifest.parquet"), metavar="FILE", help=text)
    one = commands.add_parser("methods", help="list the methods that can be trained", description=METHODS)
    one.add_argument("method", nargs="?", metavar="METHOD", help="tell all of this one, and how its authors train it")
    text = "make a file for train.init of weights that a method's authors published"
    one = commands.add_parser("import-weights", help=text, description=IMPORT, formatter_class=RAW)
    one.add_argument("method", metavar="METHOD", help="a name of `dualface methods`")
    one.add_argument("file", type=Path, metavar="FILE", help="what its authors published")
    text = "write here, and beside it a .json (default: weights/METHOD-NAME.safetensors)"
    one.add_argument("--out", type=Path, metavar="FILE", help=text)
    return top


def scan(arguments: argparse.Namespace) -> None:
    """List a data set and say what was found."""
    name = arguments.name or arguments.dataset
    if not re.fullmatch(r"[A-Za-z0-9_.-]+", name):
        raise DualfaceError(f"--name {name!r}: letters, digits, '_', '-' and '.' only; it names data/sources/NAME.csv")
    listing = arguments.out or Path("data", "sources", f"{name}.csv")
    found = scanning.scan(
        arguments.dataset, arguments.root, qualities=tuple(arguments.quality), methods=tuple(arguments.method)
    )
    found = scanning.from_repository(found, here=Path.cwd())
    replaced = _replaced(listing, found.videos)
    manifest.write_listing(listing, found.videos)
    sys.stdout.write(scanning.told(found, listing=listing))
    sys.stdout.write(replaced)
    if not arguments.out:
        sys.stdout.write(scanning.next_steps(found, listing=listing))


def _replaced(listing: Path, videos: list[manifest.Video]) -> str:
    """Say what a new listing changes in the one that is there."""
    if not listing.exists():
        return ""
    try:
        before = {video.key for video in manifest.read_listing(listing)}
    except ListingError:
        return f"it replaces {listing}, which was no listing\n"
    now = {video.key for video in videos}
    if before == now:
        return ""
    return f"it replaces one of {len(before):,} videos: {len(now - before):,} new, {len(before - now):,} gone\n"


def show(path: Path) -> None:
    """Print the figures of a run."""
    # Here and not above: the other commands start without the report's drawing library.
    from dualface.report import table  # noqa: PLC0415

    try:
        metrics = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise TableError(f"{path}: not found; it is written by `dvc repro report`") from None
    except ValueError as error:
        raise TableError(f"{path}: not readable as JSON ({error})") from None
    try:
        text = table.table(metrics)
    except (KeyError, TypeError) as error:
        raise TableError(f"{path}: not the figures that `dvc repro report` writes ({error!r})") from None
    sys.stdout.write(text)


def show_ledger(path: Path, manifest_path: Path, *, everything: bool) -> None:
    """Print what came of the videos."""
    rows = ledger.read(path)
    paths = {video.key: video.path for video in manifest.read(manifest_path)} if manifest_path.exists() else {}
    sys.stdout.write(ledger.told(rows, paths=paths, everything=everything))


def show_params(path: Path) -> None:
    """Check params.yaml and print what it holds."""
    sys.stdout.write(yaml.safe_dump(params.load(path).model_dump(), sort_keys=False))


def show_methods(name: str | None) -> None:
    """Print the methods, or all of one."""
    from dualface import catalogue  # noqa: PLC0415  (builds networks: the other commands start without torch)

    sys.stdout.write(catalogue.table() if name is None else catalogue.page(name))


def import_weights(method: str, path: Path, *, out: Path | None) -> None:
    """Convert published weights and say what came of them."""
    from dualface.official import convert  # noqa: PLC0415  (loads torch)

    out = out or Path("weights", f"{method}-{re.sub(r'[^A-Za-z0-9_-]', '_', path.stem)}.safetensors")
    if out.suffix != ".safetensors":
        raise DualfaceError(f"--out {out}: must end with .safetensors")
    if os.path.realpath(path) in {os.path.realpath(one) for one in (out, out.with_suffix(".json"))}:
        raise DualfaceError(f"--out {out}: it or the .json beside it is FILE, which would be lost; give another name")
    state, imported = convert.convert(method, path)
    convert.write(out, state, imported)
    sys.stdout.write(convert.told(imported, out=out))


if __name__ == "__main__":
    main()
