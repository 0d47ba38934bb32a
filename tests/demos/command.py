"""What stands for the command line in tests of demos."""

import sys
from itertools import pairwise
from pathlib import Path

import torch
import yaml


def options(call):
    """The options of a command line by name."""
    return dict(pairwise(call)) | {
        word.partition("=")[0]: word.partition("=")[2] for word in call if "=" in word
    }


class Command:
    """Notes each command line; prints the settings of configs, leaves checkpoints and manifests."""

    def __init__(self, lr=2e-3):
        self.lr = lr
        self.calls, self.checked, self.fails = [], [], {}

    def __call__(self, call):
        call = list(call)
        if call[-1] == "--print_config":
            self.checked.append(call[:-1])
            files = [value for flag, value in pairwise(call) if flag == "-c"]
            texts = [yaml.safe_load(Path(file).read_text()) for file in files]
            sys.stdout.write(yaml.safe_dump([*texts, call]))
            raise SystemExit(0)
        self.calls.append(call)
        if " ".join(call[:2]) in self.fails:
            raise self.fails[" ".join(call[:2])]
        if call[0] == "fit":
            self.leave_checkpoint(**options(call))

    def leave_checkpoint(self, **given):
        run = given["--run"]
        path = Path(given["--folder"], run, "checkpoints/last.ckpt")
        path.parent.mkdir(parents=True, exist_ok=True)
        timer = {"Timer": {"time_elapsed": {"train": 60.0 if run == "rlvr" else 30.0}}}
        optimizer = {"param_groups": [{"lr": 0.0, "initial_lr": self.lr}]}
        found = {"callbacks": timer, "optimizer_states": [optimizer], "global_step": 100}
        torch.save(found | {"call": len(self.calls)}, path)

    def runs(self):
        """The runs that were trained, in order."""
        return [options(call)["--run"] for call in self.calls if call[0] == "fit"]

    def named(self, *words):
        """The options of the command lines that begin with words."""
        return [options(call) for call in self.calls if call[: len(words)] == list(words)]
