import pytest
from lightning import Trainer
from lightning.pytorch.strategies import FSDPStrategy, ModelParallelStrategy
from tiny_runs import tokenizer, world

from rlvr_world.modules.sharding import FSDP2, check_strategy


@pytest.mark.parametrize("strategy", [FSDPStrategy, ModelParallelStrategy])
def test_strategies_that_cannot_train_are_refused(strategy, tmp_path):
    with pytest.raises(ValueError, match=f"{strategy.__name__} .*use fsdp2"):
        check_strategy(world(tmp_path), strategy())


def test_a_tokenizer_is_refused():
    with pytest.raises(ValueError, match="VQTokenizer cannot be split by fsdp2; use ddp"):
        check_strategy(tokenizer(), FSDP2())


def test_scaled_losses_are_refused(tmp_path):
    trainer = Trainer(accelerator="cpu", devices=1, strategy="fsdp2", logger=False)
    trainer.strategy.precision_plugin.scaler = object()
    with pytest.raises(ValueError, match="use bf16-mixed"):
        check_strategy(world(tmp_path), trainer.strategy)
