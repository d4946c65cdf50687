"""Commands about the installation: `smartsight settings`, `smartsight migrate`, `smartsight completion`."""

import argparse
import os
from argparse import Namespace
from collections.abc import Iterator

from commands.parts import open_store
from commands.terminal import say, show, show_json
from shared.settings import Settings, ShownSetting, shown_settings

#: Argument names in the help that stand for a file.
_FILE_NAMES = ("FILE", "SOURCE", "IMAGE")


def show_settings(options: Namespace, _settings: Settings) -> int:
    """Print every setting, its value and where that came from."""
    shown = list(shown_settings(os.environ))
    if options.json:
        show_json([_as_object(setting) for setting in shown])
    else:
        show(*(f"{one.variable:<28} {_source(one):<12} {_in_words(one)}".rstrip() for one in shown))
    return 0


def _as_object(setting: ShownSetting) -> dict[str, str]:
    return {
        "name": setting.variable,
        "value": setting.value,
        "source": _source(setting),
        "meaning": setting.meaning,
    }


def _in_words(setting: ShownSetting) -> str:
    """Return the value, or what applies without one."""
    return setting.value or f"({setting.default_meaning})"


def _source(setting: ShownSetting) -> str:
    return "default" if setting.is_default else "environment"


def migrate(_options: Namespace, settings: Settings) -> int:
    """Open the database, which creates or upgrades its tables."""
    with open_store(settings) as store:
        say(f"The tables are up to date: {store.name}")
    return 0


def show_completion(options: Namespace, _settings: Settings) -> int:
    """Print the script that completes our command line in a shell."""
    import shtab

    from commands.arguments import build_parser

    parser = build_parser()
    for action in _actions(parser):
        _shorten_descriptions(action)
        if action.metavar in _FILE_NAMES:
            action.complete = shtab.FILE  # type: ignore[attr-defined]
    show(shtab.complete(parser, options.shell))
    return 0


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """Yield the arguments of a parser and of all its subparsers."""
    for action in parser._actions:
        yield action
        if isinstance(action, argparse._SubParsersAction):
            for subparser in action.choices.values():
                yield from _actions(subparser)


def _shorten_descriptions(action: argparse.Action) -> None:
    """Describe commands by the line that the list of commands has: a completion menu is as narrow."""
    if isinstance(action, argparse._SubParsersAction):
        for choice in action._choices_actions:
            action.choices[choice.dest].description = choice.help
