"""A user's subclass has all the options of its parent, without an ``__init__`` of its own."""

import inspect

import pytest
from jsonargparse import ArgumentParser
from lightning import LightningDataModule
from torch import nn

from rlvr_world.cli import ROOMS, import_rooms
from rlvr_world.codec import Codec
from rlvr_world.modules.stage import Stage
from rlvr_world.nn.sequence_model import SequenceModel
from rlvr_world.reward import Reward

KINDS = (Codec, Reward, Stage, SequenceModel, LightningDataModule)


def subclasses(kind):
    for each in kind.__subclasses__():
        if each.__module__.startswith("rlvr_world."):
            yield each
        yield from subclasses(each)


def concrete():
    import_rooms()
    found = {each for kind in KINDS for each in subclasses(kind) if not inspect.isabstract(each)}
    assert len(found) > 30
    assert {each.__module__.split(".")[1] for each in found} <= set(ROOMS)
    return sorted(found, key=lambda each: each.__name__)


def options(component):
    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(component, "it")
    return {action.dest for action in parser._actions}


@pytest.mark.parametrize("parent", concrete(), ids=lambda each: each.__name__)
def test_a_subclass_has_the_options_of_its_parent(parent):
    child = type("Mine", (parent,), {"__module__": __name__})
    assert options(child) == options(parent)
    if issubclass(parent, nn.Module):
        assert len(options(parent)) > 1
