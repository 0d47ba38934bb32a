"""Web pages: record them, learn a tokenizer, maximise likelihood, reinforce, evaluate, plan."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from rlvr_world.demos.text import TextDemo
from rlvr_world.web.recorded_pages import unpack_recorded_pages

TASKS = (
    "buy-ticket", "choose-list", "click-button", "click-checkboxes", "click-checkboxes-large",
    "click-checkboxes-soft", "click-collapsible", "click-collapsible-2",
    "click-collapsible-nodelay", "click-dialog", "click-dialog-2", "click-link", "click-menu",
    "click-option", "click-scroll-list", "click-tab", "click-tab-2", "click-tab-2-easy",
    "click-test", "click-test-2", "click-widget", "email-inbox", "email-inbox-delete",
    "email-inbox-important", "email-inbox-reply", "enter-date", "enter-password", "enter-text",
    "enter-text-2", "enter-time", "focus-text", "focus-text-2", "form-sequence", "generate-number",
    "login-user", "multi-layouts", "read-table", "search-engine", "sign-agreement",
    "social-media", "use-autocomplete-nodelay", "use-spinner",
    "click-button-sequence", "click-checkboxes-transfer", "click-collapsible-2-nodelay",
    "click-menu-2", "click-tab-2-medium", "email-inbox-star-reply", "enter-text-dynamic",
    "form-sequence-2", "login-user-popup", "multi-orderings", "navigate-tree", "phone-book",
    "read-table-2", "social-media-some",
)  # fmt: skip
"""Tasks whose pages answer to clicks and letters, not to drawing or time; the last 14 are held
out."""

AGENT_TASKS = ("click-checkboxes-transfer", "click-option", "login-user", "login-user-popup")
"""Tasks that the agents of the demo work on, two of them held out."""


class WebDemo(TextDemo):
    """The whole path on web pages, with the F1 of the items that change as the reward.

    Args:
        missing: What a browser lacks here, in a sentence; empty if nothing. If something is
            missing, the pages that come with the package take the place of a recording, and no
            agent acts.
        episodes: Episodes to record of each task, by split.
        tasks: Tasks to record; all if not given.
        agent_tasks: Tasks that the agents work on; they are left out if there are none.
        agent_seeds: Pages of each of these tasks.
        **demo: See ``Demo``. The tokenizer goes to ``{folder}/tokenizer``.
    """

    rewards: ClassVar[Mapping[str, str]] = {"": "F1 of the items that change"}
    data_module: ClassVar[str] = "rlvr_world.web.data.WebDataModule"

    def __init__(
        self,
        missing: str,
        episodes: Mapping[str, int],
        tasks: Sequence[str] | None,
        agent_tasks: Sequence[str],
        agent_seeds: int,
        **demo: Any,
    ) -> None:
        super().__init__(**demo)
        self.missing, self.episodes, self.tasks = missing, episodes, tasks
        self.agent_tasks, self.agent_seeds = agent_tasks, agent_seeds

    def prepare(self) -> tuple[str, ...]:
        if self.missing:
            self.console.print(
                f"{self.missing}. The demo goes on with the small recording of {self.data}, which "
                "comes with the package."
            )
            unpack_recorded_pages(self.data)
        elif not (self.data / "manifest.json").exists():
            options = [f"--episodes.{split}={count}" for split, count in self.episodes.items()]
            if self.tasks is not None:
                options.append(f"--tasks={json.dumps(list(self.tasks))}")
            root = ("--root", str(self.data))
            self.run("Recording MiniWoB++", "data", "data", "web", *root, *options)
        return self.learn_tokenizer()

    def evaluate(self, models: Mapping[str, str]) -> None:
        """Score checkpoints on held-out tasks and on other pages of known ones; let agents act."""
        super().evaluate(models)
        config, folder = self.config("evaluation"), self.folder / "known_tasks"
        choice = ("--data.test_split", "test")
        self.tabulate(config, self.data, folder, self.checkpoints(models), *choice)
        self.plan()

    def plan(self) -> None:
        """Let agents act with and without the trained models on a few pages."""
        if self.missing:
            self.console.print("The web agent is left out: it needs a browser.")
        elif self.agent_tasks:
            config = self.folder / "agent.yaml"
            text = (self.configs / "application/web_agent_miniwob.yaml").read_text()
            config.write_text(text.replace("checkpoints/demo/web/", f"{self.folder}/"))
            pages = (f"--tasks={json.dumps(list(self.agent_tasks))}", f"--seeds={self.agent_seeds}")
            self.run("Planning on pages", "agent", "web-agent", "-c", str(config), *pages)
