"""One RLVR step by ``GRPOTrainer`` of ``trl``."""

import tempfile
from pathlib import Path

import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast
from transformers.trainer_callback import PrinterCallback, ProgressCallback

from benchmarks.harness import Work
from benchmarks.problem import KL_WEIGHT, LEARNING_RATE, Problem, even_share
from rlvr_world.nn.llama import to_llama
from rlvr_world.nn.transformer import Transformer


def their_step(problem: Problem, device: torch.device) -> Work:
    """``train`` for one batch of groups: as many optimizer steps as there are minibatches."""
    from datasets import Dataset
    from trl import GRPOConfig, GRPOTrainer

    torch.manual_seed(0)
    folder = Path(tempfile.mkdtemp())
    llama = to_llama(Transformer(**problem.model))
    llama.generation_config.eos_token_id = None
    llama.save_pretrained(folder / "model")
    tokenizer = word_tokenizer(problem.vocab_size)
    tokenizer.save_pretrained(folder / "model")
    rows = problem.prompts * problem.group
    config = GRPOConfig(
        output_dir=str(folder),
        per_device_train_batch_size=rows // problem.minibatches,
        steps_per_generation=problem.minibatches,
        num_generations=problem.group,
        max_completion_length=problem.new,
        max_steps=problem.minibatches,
        generation_kwargs={"min_new_tokens": problem.new},
        learning_rate=LEARNING_RATE,
        beta=KL_WEIGHT,
        use_cpu=device.type == "cpu",
        bf16=False,
        gradient_checkpointing=False,
        report_to="none",
        save_strategy="no",
        logging_strategy="no",
        disable_tqdm=True,
    )
    trainer = GRPOTrainer(
        model=str(folder / "model"),
        reward_funcs=even_tokens,
        args=config,
        train_dataset=Dataset.from_dict({"prompt": words(problem)}),
        processing_class=tokenizer,
    )
    for callback in (PrinterCallback, ProgressCallback):
        trainer.remove_callback(callback)

    def work() -> int:
        trainer.train()
        return problem.tokens

    return work


def words(problem: Problem) -> list[str]:
    """The prompts as the tokenizer reads them."""
    return [" ".join(f"t{token}" for token in row) for row in problem.draw().tolist()]


def word_tokenizer(vocab_size: int) -> PreTrainedTokenizerFast:
    """One token for each of the words t0, t1, ...; the last two end a row and pad it."""
    words = {f"t{token}": token for token in range(vocab_size - 2)}
    words |= {"<end>": vocab_size - 2, "<pad>": vocab_size - 1}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="<pad>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<end>", pad_token="<pad>")


def even_tokens(completion_ids: list[list[int]], **_: object) -> list[float]:
    """The reward, as ``trl`` calls it."""
    if len({len(ids) for ids in completion_ids}) != 1:
        raise RuntimeError("GRPOTrainer sampled rows of different length")
    return [float(even_share(torch.tensor(ids)[None])) for ids in completion_ids]
