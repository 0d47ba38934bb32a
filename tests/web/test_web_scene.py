import pytest
import torch
from page_steps import CART, SAME

from rlvr_world.web.items import WebPageItems
from rlvr_world.web.prompt import NO_CHANGE, page_answer

BATCH = {"key": ["a", "b"], "transition": [CART, SAME]}
RIGHT = page_answer(CART, "compact")
FEWER = RIGHT.replace("[5]", "None")
ANSWERS = [RIGHT, FEWER, "?", NO_CHANGE, RIGHT, "New items:\nNone"]


def test_all_pages_and_those_that_change():
    scores = WebPageItems().score(ANSWERS, BATCH)
    assert scores["precision"].tolist() == [100, 100, 0, 100, 0, 0]
    assert scores["recall"].tolist() == [100, 75, 0, 100, 0, 0]
    assert scores["f1"].tolist() == pytest.approx([100, 600 / 7, 0, 100, 0, 0])
    assert scores["exact"].tolist() == [100, 0, 0, 100, 0, 0]
    assert scores["well_formed"].tolist() == [100, 100, 0, 100, 100, 0]
    for name in ("precision", "recall", "f1", "exact"):
        changed = scores[f"changed_{name}"]
        assert torch.equal(changed[:3], scores[name][:3])
        assert changed[3:].isnan().all()


def test_every_metric_has_a_heading_and_a_direction():
    scene = WebPageItems()
    names = {*scene.score(ANSWERS, BATCH), *scene.macro}
    assert names == set(scene.labels) == set(scene.higher_is_better)


def test_groups_are_tasks_or_sites():
    assert WebPageItems().groups(BATCH) == ["cart", "cart"]
    assert WebPageItems(by="site").groups(BATCH) == ["shop", "shop"]


def test_the_originals_rule():
    scores = WebPageItems(judge="upstream").score([NO_CHANGE, "", NO_CHANGE, ""], BATCH)
    assert scores["f1"].tolist() == [0, 0, 100, 0]
