import random
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from page_steps import CART, page_elements, page_step

from rlvr_world.web.retelling import content_words, renumbered, reworded
from rlvr_world.web.tree import tree_text

PAGES = [
    page_step(
        f"[1] RootWebArea 'Mail'\n\t[2] button 'Reply'\n\t[4] textbox '' value: {name}",
        f"[1] RootWebArea 'Mail'\n\t[2] button 'Reply'\n\t[7] StaticText 'Sent to {name}'",
        action=f"type [4] [{name}] [1]",
        previous_action="click [2]",
        objective=f"Reply to {name}.",
        task="mail",
    )
    for name in ("Ada", "Bob", "Cleo", "Dora", "Emil")
]


def test_content_words_differ_from_page_to_page():
    assert content_words(PAGES) == ("Ada", "Bob", "Cleo", "Dora", "Emil")
    assert content_words(PAGES[:3]) == ()  # too few pages to tell
    everywhere = [page_step("[1] a 'Ada'", "[1] a 'Ada'", objective=f"{i}") for i in range(4)]
    assert content_words([*PAGES, *everywhere]) == ("Bob", "Cleo", "Dora", "Emil")


def test_a_word_becomes_the_same_other_word_wherever_it_stands():
    step = reworded(PAGES[0], (*content_words(PAGES[1:]), "Ada"), random.Random(1))
    name = step.objective.removeprefix("Reply to ").removesuffix(".")
    assert name in {"Bob", "Cleo", "Dora", "Emil"}
    assert step == PAGES[["Ada", "Bob", "Cleo", "Dora", "Emil"].index(name)]


def test_ids_are_others_in_the_same_order():
    seen = set()
    for seed in range(20):
        step = renumbered(PAGES[0], random.Random(seed))
        root, button, field = (int(element.id) for element in step.elements)
        assert root < button < field < int(step.next_elements[2].id)
        assert step.action == f"type [{field}] [Ada] [1]"
        assert step.previous_action == f"click [{button}]"
        assert [e.name for e in step.next_elements] == ["Mail", "Reply", "Sent to Ada"]
        seen.add(field)
    assert len(seen) > 5


def test_what_published_actions_say_of_their_element_gets_the_same_ids():
    action = "click [4] where [4] is textbox '' value: Ada"
    step = renumbered(replace(PAGES[0], action=action), random.Random(1))
    field = step.elements[2].id
    assert field != "4"
    assert step.action == f"click [{field}] where [{field}] is textbox '' value: Ada"
    told = reworded(replace(PAGES[0], action=action), ("Bob", "Ada"), random.Random(1))
    assert told.action == "click [4] where [4] is textbox '' value: Bob"


def test_a_published_truth_gets_the_same_ids_and_words():
    truth = {"new": ["[7] StaticText 'Sent to Ada'"], "deleted": ["[4] textbox ''"], "updated": []}
    step = replace(PAGES[0], truth=truth)
    told = renumbered(reworded(step, ("Bob", "Ada"), random.Random(1)), random.Random(1))
    assert told.changes.new == (told.next_elements[2]._replace(depth=0),)
    assert told.changes.new[0].name == "Sent to Bob"
    assert told.changes.deleted[0].id == told.elements[2].id != "4"


def test_other_ids_and_other_words_of_actions_stay():
    letters = page_step("[a] button 'x'", "[a] button 'y'", action="press [Enter]")
    assert renumbered(letters, random.Random(0)) == letters
    odd = page_step("[1] a 'Ada'", "[1] a 'Bob'", action="click the Ada button")
    assert reworded(odd, ("Ada", "Bob"), random.Random(0)).action == odd.action


@given(page_elements, page_elements, st.integers(0, 99))
def test_it_is_the_same_step(before, after, seed):
    step = page_step(tree_text(before), tree_text(after))
    rng = random.Random(seed)
    told = renumbered(reworded(step, ("abc", "Add", "cup", "Your"), rng), rng)
    assert told.changes.total == step.changes.total
    assert len(told.elements) == len(step.elements)


def test_a_step_with_changes_keeps_their_number():
    rng = random.Random(3)
    told = renumbered(reworded(CART, ("Add", "Added", "cup", "cups"), rng), rng)
    assert told.changes.total == CART.changes.total
