"""Every demo: its preset, and the steps from nothing to the tables."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from rlvr_world.demos.demo import Demo

AGENT_TASKS = ("click-checkboxes-transfer", "click-option", "login-user", "login-user-popup")


class PushTDemo(Demo):
    """Robot video, one frame at a time: record PushT, tokenizer, MLE, RLVR, and the table."""

    default_preset, source = "configs/pusht", "pusht"

    def steps(self) -> None:
        self.record()
        self.train("tokenizer")
        tokens = self.beside_data("tokens")
        folders = ("--folder", str(self.folder), "--source", str(self.data), "--root", str(tokens))
        self.make("tokens", "data", "tokens", "--tokenizer", "tokenizer", *folders)
        self.learn(tokens)


class PushTMultiStepDemo(PushTDemo):
    """Robot video of PushT, seven frames at a time: RLVR with two rewards, and other actions."""

    default_preset = "configs/pusht/multi_step"
    by_hand = ("--horizon=7",)
    overlays = ("repetition",)
    control_lr = 3e-4  # MLE ends near what it can do: 1e-3 undoes its decay and ends behind it

    def steps(self) -> None:
        super().steps()
        replayed = self.beside_data("counterfactual")
        recording = ("data", "counterfactual", str(self.data), "--root", str(replayed))
        self.make("counterfactual", *recording)
        for split in ("test", "test_counterfactual", "test_ood"):
            self.table("counterfactual", f"counterfactual/{split}", replayed, split)


class MetaWorldDemo(PushTMultiStepDemo):
    """Robot video of Meta-World, seven frames at a time: as for PushT, and a probe of states."""

    default_preset, source = "configs/metaworld", "metaworld"

    def record(self) -> None:
        super().record()
        self.train("state_probe")


class TextWorldDemo(Demo):
    """Text games that are made on the spot: tokenizer, MLE, RLVR with two rewards, the table."""

    default_preset, source = "configs/textworld", "textworld"
    overlays: ClassVar[Sequence[str]] = ("task_specific",)

    def steps(self) -> None:
        self.record()
        name = self.arguments("codec")["tokenizer"]
        data = ("--data", str(self.config("data")), "--data.root", str(self.data))
        commands = {"tokenizer": ("data", "bpe", *data), "source": ("convert", "smollm2")}
        if name in commands:
            output = self.folder / name
            result = output / "tokenizer.json"
            self.make(name, *commands[name], "--output", str(output), result=result)
        self.learn()


class ByteSized32Demo(TextWorldDemo):
    """ByteSized32: convert the published files, tokenizer, MLE, RLVR with two rewards, the table.

    The preset ``configs/bytesized32/smollm2`` tunes SmolLM2 instead of a model from random weights.

    Args:
        source: Folder of the published files, see ``rlvr-world data bytesized32``.
        **demo: See ``Demo``.
    """

    default_preset = "configs/bytesized32"

    def __init__(self, source: Path, **demo: Any) -> None:
        super().__init__(**demo)
        self.published = source

    def record(self) -> None:
        command = ("data", "bytesized32", str(self.published), "--root", str(self.data))
        self.make("data", *command, *self.recording, result=self.data / "manifest.json")


class ShopDemo(TextWorldDemo):
    """Pages of a shop that runs here: record, tokenizer, MLE, RLVR, and two tables."""

    default_preset, source = "configs/shop", "web"
    overlays = ()
    by_hand = None

    def steps(self) -> None:
        super().steps()
        self.table(output="known_tasks", split="test")


class WebDemo(ShopDemo):
    """Web pages of MiniWoB++: record, tokenizer, MLE, RLVR, two tables, and agents that plan.

    table.json is about tasks that training never shows, known_tasks/table.json about other pages of
    known ones, agent/web_agent.json about agents. Without Playwright, MiniWoB++ or Chromium a small
    recording of forms, lists, dialogs and a cart takes the place of MiniWoB++, and no agent acts.

    Args:
        agent_tasks: Tasks that the agents work on, by default four, two of them held out; an empty
            list leaves the agents out.
        agent_seeds: Pages of each of these tasks.
        **demo: See ``Demo``.
    """

    default_preset = "configs/miniwob"

    def __init__(
        self, agent_tasks: Sequence[str] = AGENT_TASKS, agent_seeds: int = 2, **demo: Any
    ) -> None:
        super().__init__(**demo)
        self.agent_tasks, self.agent_seeds = agent_tasks, agent_seeds

    def steps(self) -> None:
        super().steps()
        pages = (f"--tasks={json.dumps(list(self.agent_tasks))}", f"--seeds={self.agent_seeds}")
        config = ("-c", str(self.config("agent")), "--folder", str(self.folder))
        command = ("web-agent", *config, *pages)
        if self.checking:
            self.settings(*command)
        elif self.agent_tasks:
            try:
                self.make("agent", *command)
            except (FileNotFoundError, ModuleNotFoundError) as error:
                self.console.print(f"The web agents are left out: {error}")

    def record(self) -> None:
        """Record pages; without a browser, unpack those that come with the package."""
        try:
            super().record()
        except (FileNotFoundError, ModuleNotFoundError) as error:
            self.data = self.beside_data("pages")
            self.folder = self.folder.with_name(f"{self.folder.name}_pages")
            self.console.print(f"{error}. The demo goes on with the small recording {self.data}.")
            self.make("data", "data", "packaged-pages", "--root", str(self.data))
