"""The evaluate command: a run's checkpoints, or two folders."""

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from cyclegan import checkpoint
from cyclegan.conversion import weights
from cyclegan.conversion.translator import Translator
from cyclegan.data.folders import list_images
from cyclegan.data.preprocess import CenterCrop
from cyclegan.device import choose_device, tune
from cyclegan.errors import UsageError
from cyclegan.evaluation import EvaluateSettings, report
from cyclegan.evaluation.direction import Evaluation, measure
from cyclegan.evaluation.domain import crops_of, vectors_of, view_of
from cyclegan.evaluation.eval_set import EvalSet, make_eval_set
from cyclegan.evaluation.quality import Likeness, likeness
from cyclegan.features.network import FeatureNetwork
from cyclegan.features.table import feature_network
from cyclegan.hub import is_address
from cyclegan.progress import progress_bar, tracked, waiting
from cyclegan.run import FolderDirection, RunFolder, check_name
from cyclegan.settings import Settings, from_record, from_table
from cyclegan.translation import Convert


def evaluate(settings: EvaluateSettings) -> int:
    """Measure, print the figures and return the exit code. Raises UserError."""
    settings.check()
    network = feature_network(
        settings.features, settings.feature_weights, trust_code=settings.trust_code
    )
    device = choose_device(settings.device)
    tune(device, same_size=True)
    network = network.on(device)
    if settings.name is None:
        assert settings.real is not None
        assert settings.fake is not None
        found = compare_folders(
            settings.real, settings.fake, settings.size, network, settings.crops
        )
        report.tell_folders(found, network, as_json=settings.json)
        return 0
    if is_address(settings.name):
        model = evaluate_model(Path(settings.name), settings, network)
        report.tell_model(model, network, as_json=settings.json)
        return 0
    evaluations = evaluate_run(settings.name, settings, network)
    folder = settings.checkpoints_dir / settings.name
    report.tell_run(evaluations, network, folder, as_json=settings.json)
    return 0


def compare_folders(
    real: Path, fake: Path, side: int | None, network: FeatureNetwork, crops: int | None = None
) -> Likeness:
    """Return how similar `fake` is to `real`, as sets of pictures. Raises UserError."""
    square = CenterCrop(side or network.side, 3)
    sets = [list_images(folder, tell=True) for folder in (real, fake)]
    count = crops_of(sets, square.side, crops)
    return likeness(
        *(
            vectors_of(paths, view_of(paths, square, count), network)
            for paths in tracked(sets, "extracting features", "folders")
        )
    )


def evaluate_run(
    name: str, settings: EvaluateSettings, network: FeatureNetwork
) -> list[Evaluation]:
    """Measure the checkpoints that `settings` name, in the order of training. Raises UserError."""
    check_name(name)
    folder = settings.checkpoints_dir / name
    paths = _paths(folder, settings.epoch)
    first = next(iter(paths.values()))
    trained = from_record(checkpoint.load(first, mapped=True).settings, str(first))
    trained = trained.found_from(folder)
    if not trained.recipe.both_ways:
        raise UsageError(
            f"--name {name}: a run of --model {trained.recipe.model} converts one way only, and "
            f"evaluate measures both directions: its losses are in {RunFolder(folder).report}, and "
            "--real DIR --fake DIR compares folders"
        )
    eval_set = _eval_set(trained, settings, network)
    pictures = sum(way.pictures for way in eval_set.ways.values())
    with progress_bar() as bar:
        task = bar.add_task("evaluating", total=pictures * len(paths), unit="pictures")
        done = [
            evaluate_checkpoint(
                path, epoch, eval_set, settings, lambda count: bar.advance(task, count)
            )
            for epoch, path in paths.items()
        ]
    return sorted(done, key=lambda evaluation: evaluation.images)


def evaluate_model(path: Path, settings: EvaluateSettings, network: FeatureNetwork) -> Evaluation:
    """Measure both directions of a model on the hub, by what its files say. Raises UserError."""
    generator = weights.load(path, None)
    made = generator.architecture
    channels = {"input_nc": made.input_nc, "output_nc": made.output_nc}
    table = {"run": {"direction": generator.direction or "AtoB"}, "networks": channels}
    trained = from_table(table | {"data": {"range": generator.values}}, generator.origin)
    eval_set = _eval_set(trained, settings, network)
    with waiting("evaluating"):
        return _measured(path, generator.origin, 0, eval_set, settings)


def _eval_set(trained: Settings, settings: EvaluateSettings, network: FeatureNetwork) -> EvalSet:
    content = (
        network if network.has_maps else feature_network("efficientnet-lite0").on(network.device)
    )
    with waiting("extracting features of real images"):
        return make_eval_set(trained, settings, network, content)


def evaluate_checkpoint(
    path: Path,
    epoch: str,
    eval_set: EvalSet,
    settings: EvaluateSettings,
    tick: Callable[[int], object] = lambda count: None,
) -> Evaluation:
    """Measure both directions of one checkpoint. Raises UserError."""
    images = checkpoint.load(path, mapped=True).position.images
    return _measured(path, epoch, images, eval_set, settings, tick)


def _measured(
    path: Path,
    epoch: str,
    images: int,
    eval_set: EvalSet,
    settings: EvaluateSettings,
    tick: Callable[[int], object] = lambda count: None,
) -> Evaluation:
    there, back = (converter(path, direction, settings) for direction in ("AtoB", "BtoA"))
    forth, home = eval_set.ways["AtoB"], eval_set.ways["BtoA"]
    network, content = eval_set.network, eval_set.content
    return Evaluation(
        epoch,
        images,
        eval_set.side,
        eval_set.crops,
        {
            "AtoB": measure(there, back, forth, home, network, content, tick),
            "BtoA": measure(back, there, home, forth, network, content, tick),
        },
    )


def converter(path: Path, direction: FolderDirection, settings: EvaluateSettings) -> Convert:
    """Return a generator as a function of batches (N, C, H, W) in [-1, 1].

    A GPU converts whole batches, a CPU image by image.
    """
    translator = Translator.load(
        path, direction=direction, device=settings.device, average=settings.average
    )

    def convert(batch: Tensor) -> Tensor:
        if translator.device.type != "cpu":
            return translator.convert_batch(batch)
        return torch.stack([translator.convert(image) for image in batch])

    return convert


def _paths(folder: Path, epoch: str) -> dict[str, Path]:
    """Return checkpoints by their epochs. Raises UserError, naming those that exist."""
    if epoch != "all":
        return {epoch: checkpoint.path_of(folder, epoch)}
    run = RunFolder(folder)
    numbered = [str(number) for number in run.saved_epochs()]
    return {name: checkpoint.path_of(folder, name) for name in (*numbered, run.newest())}
