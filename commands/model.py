"""`smartsight model list | build | import | info`: the models that there are."""

from argparse import Namespace
from pathlib import Path

from commands.terminal import show
from shared.classifier.catalogue import Catalogue, Entry
from shared.classifier.model import Model, Preprocessing
from shared.settings import Settings

#: Mean and scale that bring a pixel of 0 to 255 into the range that a network was trained on.
RANGES = {"signed": (127.5, 127.5), "unit": (0.0, 255.0), "bytes": (0.0, 1.0)}


def run(options: Namespace, settings: Settings) -> int:
    """Run the chosen action."""
    catalogue = Catalogue(settings.cache_dir, settings.data_dir)
    actions = {"list": _list, "build": _build, "import": _import, "info": _info}
    actions[options.action](catalogue, options)
    return 0


def _list(catalogue: Catalogue, _options: Namespace) -> None:
    show(*(_line(entry) for entry in catalogue.entries()))


def _line(entry: Entry) -> str:
    if entry.model is None:
        return f"{entry.name:<16} {entry.state}"
    side = entry.model.description.preprocessing.side
    facts = f"{len(entry.model.labels)} classes, {side} x {side} pixels, version {entry.model.version}"
    return f"{entry.name:<16} {entry.state:<14} {facts}"


def _build(catalogue: Catalogue, options: Namespace) -> None:
    _describe(catalogue.build(options.name))


def _import(catalogue: Catalogue, options: Namespace) -> None:
    mean, scale = RANGES[options.range]
    how = Preprocessing(options.side, options.crop, mean, scale)
    _describe(catalogue.add(Path(options.path), Path(options.labels), options.name, how))


def _info(catalogue: Catalogue, options: Namespace) -> None:
    _describe(catalogue.model(options.name))


def _describe(model: Model) -> None:
    how = model.description.preprocessing
    facts = {
        "name": model.name,
        "version": model.version,
        "folder": model.folder,
        "networks": ", ".join(file for file in model.description.checksums if file.startswith("network")),
        "classes": len(model.labels),
        "input": f"{how.side} x {how.side} RGB, (pixel - {how.mean:g}) / {how.scale:g}",
        "crop": f"the centre {how.crop:.3g} of the short side",
        "scores": "logits, turned into scores by a softmax" if model.description.logits else "as given",
    }
    show(*(f"{name:<9} {value}" for name, value in facts.items()))
