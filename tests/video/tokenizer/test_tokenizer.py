import pytest
import torch
from lightning import Trainer, seed_everything
from lightning.pytorch.callbacks import EMAWeightAveraging, ModelCheckpoint
from torch.utils.data import DataLoader, Dataset

from rlvr_world.video.tokenizer import CompressiveVQModel, VQModel
from rlvr_world.video.tokenizer.discriminator import PatchDiscriminator
from rlvr_world.video.tokenizer.quantize import CodeUse
from rlvr_world.video.tokenizer.vq_tokenizer import VQTokenizer, flat_frames, foreground


class Squares(Dataset):
    """Clips of 4 white frames with one dark square that moves in every second frame."""

    def __init__(self, count=32):
        self.count = count

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        random = torch.Generator().manual_seed(index)
        row, column = torch.randint(0, 20, (2,), generator=random).tolist()
        frames = torch.full((4, 3, 32, 32), 255, dtype=torch.uint8)
        for time in range(4):
            frames[time, :, row : row + 8, column + time // 2 * 4 :][..., :8] = 40
        return {"frames": frames, "key": f"clip{index}"}


def small_model():
    return VQModel(
        channels=[32],
        levels=[5, 5],
        latent_channels=16,
        layers=1,
        stem=4,
        kernel_size=1,
        norm="batch",
        attention=False,
        normalize_codes=True,
    )


def tokenizer(**options):
    seed_everything(0, verbose=False)
    adamw = lambda parameters: torch.optim.AdamW(parameters, lr=3e-3)  # noqa: E731
    return VQTokenizer(small_model(), **{"perceptual": None, "optimizer": adamw} | options)


def fit(module, folder, steps=4, callbacks=(), resume=None, **options):
    options = {"precision": "32-true", "limit_val_batches": 0} | options
    trainer = Trainer(
        max_steps=steps,
        accelerator="cpu",
        logger=False,
        default_root_dir=folder,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        callbacks=[*callbacks, ModelCheckpoint(folder, filename="last", save_last=True)],
        **options,
    )
    loader = DataLoader(Squares(), batch_size=4)
    trainer.fit(module, loader, loader, ckpt_path=resume)
    return trainer


def test_training_reconstructs_better_than_a_white_picture(tmp_path):
    module = tokenizer(mse_weight=1.0, foreground_weight=4.0, schedule="cosine", warmup_steps=10)
    trainer = fit(module, tmp_path, steps=150, limit_val_batches=8)
    batch = {"frames": torch.stack([Squares()[i]["frames"] for i in range(8)])}
    frames = flat_frames(batch)
    white = (1 - frames).square().mean()
    error = (module.model.eval().decode(module.model.encode(frames)) - frames).square().mean()
    assert error < white / 3
    metrics = trainer.callback_metrics
    assert metrics["val/psnr"] > 10 * torch.log10(3 / white)
    assert 0 < metrics["val/codebook_use"] <= 1
    assert metrics["val/code_stability"] >= 2 / 3
    assert 1 <= metrics["val/perplexity"] <= 25


def test_bfloat16_training_keeps_the_loss_and_the_weights_in_float32(tmp_path):
    module = tokenizer()
    first = fit(module, tmp_path, steps=1, precision="bf16-mixed").callback_metrics["train/loss"]
    last = fit(tokenizer(), tmp_path, steps=16, precision="bf16-mixed").callback_metrics
    assert last["train/loss"] < first / 2
    assert {first.dtype, last["train/loss"].dtype} == {torch.float32}
    assert {parameter.dtype for parameter in module.parameters()} == {torch.float32}


def test_every_term_of_the_loss_is_logged_and_the_step_counts_batches(tmp_path):
    options = {
        "perceptual": "st-alex",
        "perceptual_frames": 4,
        "adversarial_start": 2,
        "penalty_weight": 10.0,
        "mse_weight": 1.0,
    }
    module = tokenizer(discriminator=PatchDiscriminator([8, 16]), **options)
    before = [parameter.clone() for parameter in module.discriminator.parameters()]
    trainer = fit(module, tmp_path, steps=2)
    assert all(map(torch.equal, before, module.discriminator.parameters()))
    assert "train/adversarial" not in trainer.callback_metrics

    module = tokenizer(discriminator=PatchDiscriminator([8, 16]), **options)
    trainer = fit(module, tmp_path, steps=4)
    names = ["loss", "l1", "mse", "lpips", "adversarial", "discriminator", "skipped_steps"]
    values = trainer.callback_metrics
    assert sorted(values) == sorted(f"train/{name}" for name in names)
    assert all(torch.isfinite(value) for value in values.values())
    total = sum(values[f"train/{name}"] for name in names[1:-2])
    torch.testing.assert_close(values["train/loss"], total)
    assert not any(map(torch.equal, before, module.discriminator.parameters()))
    assert (trainer.global_step, trainer.fit_loop.total_batch_idx + 1) == (4, 4)


def test_the_step_of_the_tokenizer_leaves_no_gradient_on_the_discriminator(tmp_path):
    module = tokenizer(discriminator=PatchDiscriminator([8, 16]))
    seen = []
    descend = module.descend

    def watched(index, loss):
        descend(index, loss)
        if index == 0:
            seen.extend(parameter.grad for parameter in module.discriminator.parameters())

    module.descend = watched
    fit(module, tmp_path, steps=1)
    assert seen
    assert all(gradient is None for gradient in seen)


def test_a_checkpoint_holds_plain_data_and_loads_as_a_tokenizer(tmp_path):
    module = tokenizer(perceptual="st-alex", perceptual_frames=4)
    fit(module, tmp_path)
    checkpoint = torch.load(tmp_path / "last.ckpt", weights_only=True)
    assert checkpoint["vq_model"] == module.model.config
    assert checkpoint["provenance"]["stage"] == "VQTokenizer"
    assert all(name.startswith("model.") for name in checkpoint["state_dict"])
    assert VQModel.load(tmp_path / "last.ckpt").fingerprint == module.model.fingerprint


def test_the_checkpoint_of_a_moving_average_holds_the_averaged_weights(tmp_path):
    class Weights(EMAWeightAveraging):
        history = ()

        def on_train_batch_end(self, trainer, pl_module, *args):
            super().on_train_batch_end(trainer, pl_module, *args)
            self.history = (*self.history, pl_module.model.to_codes.weight.detach().clone())

    average = Weights(decay=0.5)
    module = tokenizer()
    fit(module, tmp_path, steps=4, callbacks=[average], limit_val_batches=2)
    expected = average.history[0]
    for weight in average.history[1:]:
        expected = (expected + weight) / 2
    loaded = VQModel.load(tmp_path / "last.ckpt")
    torch.testing.assert_close(loaded.to_codes.weight.detach(), expected)
    assert not torch.equal(loaded.to_codes.weight, average.history[-1])
    assert loaded.fingerprint == module.model.fingerprint


def test_a_resumed_run_ends_where_an_uninterrupted_one_does(tmp_path):
    options = {"schedule": "cosine", "adversarial_start": 6, "warmup_steps": 2}
    halfway = ModelCheckpoint(tmp_path, filename="{step}", every_n_train_steps=8, save_top_k=-1)
    whole = tokenizer(discriminator=PatchDiscriminator([8, 16]), **options)
    fit(whole, tmp_path / "whole", steps=16, callbacks=[halfway])
    resumed = tokenizer(discriminator=PatchDiscriminator([8, 16]), **options)
    torch.manual_seed(1)
    trainer = fit(resumed, tmp_path / "more", steps=16, resume=tmp_path / "step=8.ckpt")
    assert trainer.fit_loop.total_batch_idx + 1 == 16
    for name, value in whole.state_dict().items():
        torch.testing.assert_close(resumed.state_dict()[name], value, msg=name)


BAD = [{"mse_weight": -1.0}, {"foreground_weight": -0.1}, {"clip_norm": 0.0}]


@pytest.mark.parametrize("options", BAD)
def test_weights_are_not_negative(options):
    with pytest.raises(ValueError, match="no weight may be negative, and clip_norm must be above"):
        tokenizer(**options)


def test_starting_weights_of_another_tokenizer_are_refused(tmp_path):
    fit(tokenizer(), tmp_path)
    other = VQTokenizer(
        VQModel(**small_model().config | {"levels": [7, 5]}),
        perceptual=None,
        weights=tmp_path / "last.ckpt",
    )
    with pytest.raises(ValueError, match=r"last\.ckpt: levels of its tokenizer is \[5, 5\]"):
        fit(other, tmp_path / "other")


def test_half_precision_is_refused(tmp_path):
    with pytest.raises(ValueError, match="precision"):
        fit(tokenizer(), tmp_path, precision="16-true")


def test_a_stage_refuses_another_kind_of_tokenizer():
    with pytest.raises(ValueError, match="VQTokenizer trains a VQModel, not a CompressiveVQModel"):
        VQTokenizer(CompressiveVQModel((32, 32), [8], stem=4, latent_channels=8, layers=1))


def test_code_use_by_hand():
    use = CodeUse(8)
    use.update(torch.tensor([[[[0, 1]], [[0, 2]]]]))  # one clip of two frames of 1 x 2 codes
    use.update(torch.tensor([[[[0, 1]], [[0, 1]]]]))
    values = use.compute()
    assert values["codebook_use"].item() == pytest.approx(3 / 8)
    assert values["code_stability"].item() == pytest.approx(3 / 4)
    expected = -(0.5 * torch.tensor(0.5).log() + 0.375 * torch.tensor(0.375).log())
    expected = (expected - 0.125 * torch.tensor(0.125).log()).exp()
    torch.testing.assert_close(values["perplexity"], expected)


def test_the_foreground_is_what_most_frames_do_not_show():
    frames = torch.full((5, 3, 2, 2), 0.9)
    frames[0, 1, 0, 1] = 0.2
    frames[1, 2, 1, 1] = 0.92
    expected = torch.zeros(5, 1, 2, 2, dtype=torch.bool)
    expected[0, 0, 0, 1] = True
    torch.testing.assert_close(foreground(frames), expected)
