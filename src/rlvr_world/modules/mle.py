"""Stage 2: maximum likelihood."""

from torch import Tensor

from rlvr_world.modules.world_model import WorldModel
from rlvr_world.types import Batch


class MLEWorldModel(WorldModel):
    """A world model that learns to make the true next states likely (Equation 1 of the paper)."""

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        sequence = self.codec.encode(batch)
        loss = self.negative_log_likelihood(sequence)
        self.log("train/loss", loss, prog_bar=True)
        return loss
