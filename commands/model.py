"""`smartsight model list|build|import|info|remove`: the models on this machine."""

from argparse import Namespace
from pathlib import Path
from typing import Any

from commands.terminal import say, show, show_json
from shared.classifier.catalogue import Catalogue, Entry
from shared.classifier.model import Model, Preprocessing
from shared.settings import Settings

#: Mean and scale that map a pixel of 0 to 255 to the range that a network was trained on.
RANGES = {"signed": (127.5, 127.5), "unit": (0.0, 255.0), "bytes": (0.0, 1.0)}


def run(options: Namespace, settings: Settings) -> int:
    """Run the chosen action."""
    catalogue = Catalogue(settings.cache_dir, settings.data_dir)
    _ACTIONS[options.action](catalogue, options)
    return 0


def _list(catalogue: Catalogue, options: Namespace) -> None:
    entries = catalogue.entries()
    if options.json:
        show_json([_as_object(entry) for entry in entries])
    else:
        show(*(_line(entry) for entry in entries))


def _as_object(entry: Entry) -> dict[str, Any]:
    """Return a model for programs; fields known only after building or importing are null."""
    model = entry.model
    return {
        "name": entry.name,
        "state": entry.state,
        "version": model and model.version,
        "classes": model and len(model.labels),
        "side": model and model.description.preprocessing.side,
        "folder": model and str(model.folder),
    }


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


def _remove(catalogue: Catalogue, options: Namespace) -> None:
    if catalogue.remove(options.name) == "built":
        say(f"Removed the built files of {options.name}; it is built again when needed.")
    else:
        say(f"Removed {options.name}. Jobs that were submitted with it need it to be imported again.")


_ACTIONS = {"list": _list, "build": _build, "import": _import, "info": _info, "remove": _remove}


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
