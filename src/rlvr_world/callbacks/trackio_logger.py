"""Logs to trackio, on this machine or to a space of the hub."""

from argparse import Namespace
from collections.abc import Mapping
from typing import Any, Literal

from lightning.pytorch.loggers.logger import Logger, rank_zero_experiment
from lightning.pytorch.utilities import rank_zero_only

from rlvr_world.extras import require

PLAIN = (bool, int, float, str)


class TrackioLogger(Logger):
    """Logs to trackio, whose files are in ``TRACKIO_DIR``; ``trackio show`` shows them.

    Args:
        project: Name of the project.
        name: Name of the run; drawn if not given.
        space_id: The space of the hub that gets the run, such as ``me/runs``; this machine if not
            given.
        resume: Whether a run of that name goes on: ``allow``, ``never`` or ``must``.
    """

    def __init__(
        self,
        project: str = "rlvr-world",
        name: str | None = None,
        space_id: str | None = None,
        resume: Literal["allow", "never", "must"] = "allow",
    ) -> None:
        super().__init__()
        self.trackio: Any = require("trackio", "loggers", "TrackioLogger")
        self.project, self.run_name, self.space_id, self.resume = project, name, space_id, resume
        self.run: Any = None

    @property
    def name(self) -> str:
        return self.project

    @property
    def version(self) -> str:
        return self.run_name or "0"

    @property
    @rank_zero_experiment
    def experiment(self) -> Any:
        """The run of trackio."""
        if self.run is None:
            self.run = self.trackio.init(
                self.project,
                self.run_name,
                space_id=self.space_id,
                resume=self.resume,
                embed=False,
            )
            self.run_name, self.resume = self.run.name, "allow"
        return self.run

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        self.experiment.log(dict(metrics), step=step)

    @rank_zero_only
    def log_hyperparams(
        self, params: dict[str, Any] | Namespace, *args: Any, **kwargs: Any
    ) -> None:
        """Note the arguments of the module; the run keeps those from before its first metric."""
        given = vars(params) if isinstance(params, Namespace) else params
        self.experiment.config |= {
            k: v if isinstance(v, PLAIN) else str(v) for k, v in given.items()
        }

    @rank_zero_only
    def finalize(self, status: str) -> None:
        """Write all that waits; the next metric goes on with the run."""
        if self.run is not None:
            self.run.finish()
            self.run = None
