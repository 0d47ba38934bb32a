"""Stage 1: the frame tokenizer."""

from collections.abc import Mapping, Sequence
from functools import reduce
from operator import add
from pathlib import Path
from typing import Any, ClassVar

import torch
from lightning.pytorch.cli import OptimizerCallable
from torch import Tensor
from torch.optim import Optimizer
from torchmetrics import MeanMetric
from transformers import get_scheduler

from rlvr_world.frozen import Frozen
from rlvr_world.modules.stage import Stage
from rlvr_world.types import Batch
from rlvr_world.video.filmstrip import Pixels, draw_clips
from rlvr_world.video.lpips.lpips import PerceptualDistance
from rlvr_world.video.lpips.trunks import BackboneName
from rlvr_world.video.published.folders import write_published
from rlvr_world.video.rewards.frames import MAE, PSNR
from rlvr_world.video.tokenizer.discriminator import (
    PatchDiscriminator,
    discriminator_hinge_loss,
    generator_hinge_loss,
    gradient_penalty,
)
from rlvr_world.video.tokenizer.quantize import CodeUse
from rlvr_world.video.tokenizer.tokenizer_model import TokenizerModel
from rlvr_world.video.tokenizer.vq_model import VQModel


class VQTokenizer(Stage):
    """Trains a ``VQModel`` to reconstruct single frames.

    ``max_steps`` of the trainer counts batches, with or without a discriminator. A discriminator
    needs ``strategy: ddp_find_unused_parameters_true`` on several devices.

    Args:
        model: The tokenizer.
        discriminator: Adds an adversarial loss.
        perceptual: Backbone of the LPIPS term and of ``val/lpips``; null leaves both out.
        discriminator_optimizer: Constructor of the discriminator's optimizer, whose learning rate
            rises over ``warmup_steps``, too, and then stays constant.
        l1_weight: Weight of the mean absolute error.
        mse_weight: Weight of the mean squared error.
        foreground_weight: Both errors count ``1 + foreground_weight`` times at pixels that differ
            by more than 0.05 from the median over the frames of the batch. For a fixed camera and
            batches of several clips, where the median is the background.
        perceptual_weight: Weight of LPIPS.
        perceptual_start: Batches before the LPIPS term.
        perceptual_frames: Number of frames of each batch that the LPIPS term looks at; all of them
            if not given.
        adversarial_weight: Weight of the adversarial loss.
        adversarial_start: Batches before the discriminator starts to train and to count.
        penalty_weight: Weight of the gradient penalty of the discriminator on real frames.
        clip_norm: Largest norm of either gradient.
        **options: See ``Stage``.
    """

    monitor, monitor_mode = "val/psnr", "max"

    model_type: ClassVar[type[TokenizerModel]] = VQModel
    """The kind of tokenizer that this stage trains."""

    def __init__(
        self,
        model: TokenizerModel,
        discriminator: PatchDiscriminator | None = None,
        perceptual: BackboneName | None = "st-alex",
        discriminator_optimizer: OptimizerCallable = torch.optim.AdamW,
        l1_weight: float = 1.0,
        mse_weight: float = 0.0,
        foreground_weight: float = 0.0,
        perceptual_weight: float = 1.0,
        perceptual_start: int = 0,
        perceptual_frames: int | None = None,
        adversarial_weight: float = 0.1,
        adversarial_start: int = 0,
        penalty_weight: float = 0.0,
        clip_norm: float = 1.0,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        if not isinstance(model, self.model_type):
            raise ValueError(
                f"model: {type(self).__name__} trains a {self.model_type.__name__}, not a "
                f"{type(model).__name__}"
            )
        weights = (l1_weight, mse_weight, perceptual_weight, adversarial_weight, penalty_weight)
        if min(*weights, foreground_weight) < 0 or clip_norm <= 0:
            raise ValueError("no weight may be negative, and clip_norm must be above 0")
        self.save_hyperparameters()
        self.automatic_optimization = False
        self.model = model
        self.discriminator = discriminator
        self.discriminator_optimizer = discriminator_optimizer
        self.backbone = perceptual
        self.perceptual: Frozen[PerceptualDistance] | None = None
        self.l1_weight, self.mse_weight = l1_weight, mse_weight
        self.foreground_weight = foreground_weight
        self.perceptual_weight, self.perceptual_start = perceptual_weight, perceptual_start
        self.perceptual_frames = perceptual_frames
        self.adversarial_weight, self.adversarial_start = adversarial_weight, adversarial_start
        self.penalty_weight = penalty_weight
        self.clip_norm = clip_norm
        self.psnr, self.l1, self.lpips = PSNR(), MAE(), MeanMetric()
        self.code_use = CodeUse(model.num_codes)

    def setup(self, stage: str) -> None:
        super().setup(stage)
        if self.trainer.precision.startswith("16"):
            raise ValueError("precision: the tokenizer trains in 32-true or bf16-mixed, not in 16")
        if self.backbone is not None and self.perceptual is None:
            self.perceptual = Frozen(PerceptualDistance(self.backbone))

    def configure_optimizers(self) -> Any:
        optimizer = self.optimizer(self.model.parameters())
        configured = [{"optimizer": optimizer, "lr_scheduler": self.scheduled(optimizer)}]
        if self.discriminator is not None:
            optimizer = self.discriminator_optimizer(self.discriminator.parameters())
            scheduler = get_scheduler("constant_with_warmup", optimizer, self.warmup_steps)
            configured.append({"optimizer": optimizer, "lr_scheduler": scheduler})
        return configured

    def training_step(self, batch: Batch, batch_idx: int) -> None:
        frames = flat_frames(batch)
        discriminator = self.active_discriminator
        with self.toggled_optimizer(self.raw_optimizer(0)):
            reconstruction, _ = self.reconstruct(batch)
            terms = self.loss_terms(reconstruction, frames, batch)
            if discriminator is not None:
                logits = discriminator(reconstruction)
                terms["adversarial"] = self.adversarial_weight * generator_hinge_loss(logits)
            loss = reduce(add, terms.values())
            self.descend(0, loss)
        self.log("train/loss", loss, prog_bar=True, sync_dist=True)
        if discriminator is not None:
            with self.toggled_optimizer(self.raw_optimizer(1)):
                terms["discriminator"] = self.discriminator_loss(
                    discriminator, reconstruction.detach(), frames
                )
                self.descend(1, terms["discriminator"])
        self.log_dict({f"train/{name}": term for name, term in terms.items()}, sync_dist=True)

    def reconstruct(self, batch: Batch) -> tuple[Tensor, Any]:
        """All frames of a batch through the tokenizer, [B * T, 3, H, W], and their codes."""
        frames, codes = self.model(flat_frames(batch))
        return frames.float(), codes.unflatten(0, batch["frames"].shape[:2])

    def loss_terms(self, reconstruction: Tensor, frames: Tensor, batch: Batch) -> dict[str, Tensor]:
        return self.reconstruction_terms(reconstruction, frames)

    @property
    def active_discriminator(self) -> PatchDiscriminator | None:
        return self.discriminator if self.batches_seen >= self.adversarial_start else None

    def reconstruction_terms(self, reconstruction: Tensor, frames: Tensor) -> dict[str, Tensor]:
        """The weighted terms of the loss that compare [N, 3, H, W] with the truth."""
        importance: Tensor | float = 1.0
        if self.foreground_weight:
            importance = 1 + self.foreground_weight * foreground(frames)
        error = reconstruction - frames
        terms = {"l1": self.l1_weight * (importance * error.abs()).mean()}
        if self.mse_weight:
            terms["mse"] = self.mse_weight * (importance * error.square()).mean()
        if (
            self.perceptual
            and self.perceptual_weight
            and self.batches_seen >= self.perceptual_start
        ):
            step = -(-len(frames) // (self.perceptual_frames or len(frames)))
            distance = self.perceptual.on(self.device)(reconstruction[::step], frames[::step])
            terms["lpips"] = self.perceptual_weight * distance.mean()
        return terms

    def discriminator_loss(
        self, discriminator: PatchDiscriminator, reconstruction: Tensor, frames: Tensor
    ) -> Tensor:
        loss = discriminator_hinge_loss(discriminator(frames), discriminator(reconstruction))
        if self.penalty_weight:
            loss = loss + self.penalty_weight * gradient_penalty(discriminator, frames)
        return loss

    def raw_optimizer(self, index: int) -> Optimizer:
        """The optimizer of the tokenizer (0) or of the discriminator (1)."""
        return self.trainer.optimizers[index]

    def descend(self, index: int, loss: Tensor) -> None:
        """One step of an optimizer and of its schedule.

        Lightning counts the steps of the tokenizer's optimizer only, so that its global step is the
        number of batches.
        """
        optimizer = self.raw_optimizer(index)
        optimizer.zero_grad()
        self.manual_backward(loss)
        self.clip_gradients(optimizer, self.clip_norm, "norm")
        wrapped = self.optimizers()
        counted = wrapped[0] if isinstance(wrapped, list) else wrapped
        if index:
            self.on_before_optimizer_step(optimizer)
            optimizer.step()
        else:
            counted.step()
        scheduler: Any = self.trainer.lr_scheduler_configs[index].scheduler
        scheduler.step()

    def validation_step(self, batch: Batch, batch_idx: int) -> dict[str, Tensor]:
        frames = flat_frames(batch)
        reconstruction, codes = self.reconstruct(batch)
        reconstruction = reconstruction.clamp(0, 1)
        if self.perceptual:
            self.lpips.update(self.perceptual.on(self.device)(reconstruction, frames))
        clips = batch["frames"].shape[:2]
        prediction, target = reconstruction.unflatten(0, clips), frames.unflatten(0, clips)
        for metric in (self.psnr, self.l1):
            metric.update(metric.score(prediction, target))
        self.count_codes(codes)
        return {"prediction": prediction, "target": target}

    def picture(
        self, batch: Batch, target: Tensor, predictions: Mapping[str, Tensor], rows: Sequence[int]
    ) -> Pixels:
        return draw_clips(batch["frames"], target, predictions, rows)

    def on_validation_epoch_end(self) -> None:
        self.log_means("val")
        self.log_code_use("val")

    def count_codes(self, codes: Any) -> None:
        self.code_use.update(codes)

    def log_means(self, prefix: str) -> None:
        """Log how frames were decoded since the last time, by ranks that may have had none."""
        metrics = {"psnr": self.psnr, "l1": self.l1} | (
            {"lpips": self.lpips} if self.perceptual else {}
        )
        for name, metric in metrics.items():
            self.log(f"{prefix}/{name}", metric.compute(), prog_bar=name != "lpips", sync_dist=True)
            metric.reset()

    def log_code_use(self, prefix: str) -> None:
        values = {f"{prefix}/{name}": x for name, x in self.code_use.compute().items()}
        self.log_dict(values, sync_dist=True)
        self.code_use.reset()

    def test_step(self, batch: Batch, batch_idx: int) -> dict[str, Tensor]:
        return self.validation_step(batch, batch_idx)

    def predict_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """The frames through the tokenizer."""
        return self.validation_step(batch, batch_idx)["prediction"]

    def on_test_epoch_end(self) -> None:
        self.log_means("test")
        self.log_code_use("test")

    def export(self, folder: Path) -> None:
        write_published(self.model, folder)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        super().on_save_checkpoint(checkpoint)
        checkpoint[self.model.kind] = self.model.config

    def check_compatible(self, checkpoint: dict[str, Any], path: Path) -> None:
        config = checkpoint.get(self.model.kind)
        if config is None:
            raise ValueError(f"{path}: not the checkpoint of a tokenizer of the same kind")
        changed = [name for name, value in self.model.config.items() if config.get(name) != value]
        if changed:
            name = changed[0]
            raise ValueError(
                f"{path}: {name} of its tokenizer is {config.get(name)}, but here it is "
                f"{self.model.config[name]}; give both the same"
            )


def flat_frames(batch: Batch) -> Tensor:
    """The frames of a batch, each on its own, [B * T, 3, H, W] in [0, 1]."""
    frames = batch["frames"].flatten(0, 1).float() / 255
    return frames.contiguous(memory_format=torch.channels_last)


def foreground(frames: Tensor) -> Tensor:
    """Which pixels differ from the median over all N frames in some channel, [N, 1, H, W] bool."""
    background = frames.median(dim=0).values
    return (frames - background).abs().amax(dim=1, keepdim=True) > 0.05
