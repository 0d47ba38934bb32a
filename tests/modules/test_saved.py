from functools import partial

import pytest
import torch
from games import step, write_root
from lightning import Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from transformers import AutoModelForCausalLM, AutoTokenizer

from rlvr_world.language.bpe import learn_bpe
from rlvr_world.modules.mle import MLEWorldModel
from rlvr_world.modules.rlvr import RLVRWorldModel
from rlvr_world.nn.language_model import LanguageModel
from rlvr_world.nn.sequence_model import SequenceModel
from rlvr_world.nn.transformer import Transformer
from rlvr_world.rl.sampler import Sampler
from rlvr_world.text_game.codec import TextGameCodec
from rlvr_world.text_game.data import TextDataModule
from rlvr_world.text_game.rewards import TaskSpecific

QWEN = {
    "model_type": "qwen2", "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2,
    "num_attention_heads": 4, "num_key_value_heads": 2,
}  # fmt: skip
LORA = {"r": 4, "target_modules": "all-linear"}
SGD = partial(torch.optim.SGD, lr=0.5)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("qwen")
    steps = [step(n, action) for n in range(12) for action in ("switch 1", "wait")]
    write_root(root / "data", {"train": steps, "val": steps[:4]})
    learn_bpe(TextDataModule(str(root / "data")), root / "tokenizer", vocab_size=400)
    return root


def fit(folder, model, name):
    data = TextDataModule(str(folder / "data"), batch_size=4, samples_per_epoch=8)
    keep = ModelCheckpoint(folder / name, save_last=True)
    Trainer(
        max_epochs=1, accelerator="cpu", logger=False, callbacks=keep, enable_progress_bar=False,
        enable_model_summary=False, num_sanity_val_steps=0, limit_val_batches=1,
    ).fit(model, data)  # fmt: skip
    return folder / name / "last.ckpt"


@pytest.mark.filterwarnings("ignore:an answer .* is cut to")
def test_lora_goes_from_likelihood_to_rlvr(folder):
    """SFT of low-rank differences, then RLVR of the same, on a random Qwen."""
    pytest.importorskip("peft", reason="peft is not installed")
    torch.manual_seed(0)
    codec = TextGameCodec(folder / "tokenizer", prompt_length=128, answer_length=10)

    def backbone(vocab_size):
        return LanguageModel(vocab_size, architecture=QWEN, lora=LORA)

    mle = MLEWorldModel(codec=codec, backbone=backbone, optimizer=SGD)
    before = {name: p.clone() for name, p in mle.backbone.named_parameters()}
    path = fit(folder, mle, "mle")
    changed = {n for n, p in mle.backbone.named_parameters() if not torch.equal(p, before[n])}
    assert changed
    assert all("lora_" in name for name in changed)
    torch.manual_seed(0)
    rlvr = RLVRWorldModel(
        codec=codec, backbone=backbone, rewards={"task": TaskSpecific()}, weights=path,
        optimizer=SGD, group_size=3, num_minibatches=2,
    )  # fmt: skip
    fit(folder, rlvr, "rlvr")
    start = torch.load(path, weights_only=True)["state_dict"]
    for name, parameter in rlvr.backbone.named_parameters():
        if "lora_" not in name:
            assert torch.equal(parameter, start[f"backbone.{name}"])


@pytest.mark.filterwarnings("ignore:an answer .* is cut to")
def test_dropout_is_for_likelihood_alone(folder):
    """RLVR samples from the network that it updates: the first ratios are 1."""
    torch.manual_seed(0)
    codec = TextGameCodec(folder / "tokenizer", prompt_length=128, answer_length=10)
    sizes = {"model_type": "gpt2", "n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 160}
    source = folder / "gpt2"
    LanguageModel(codec.vocab_size, architecture=sizes).export(source)
    backbone = partial(LanguageModel, source=source)
    mle = MLEWorldModel(codec=codec, backbone=backbone, optimizer=SGD)
    assert all(module.training for module in mle.modules())
    batch = next(iter(TextDataModule(str(folder / "data"), batch_size=4).once("val")))
    losses = {float(mle.negative_log_likelihood(codec.encode(batch))) for _ in range(3)}
    assert len(losses) == 3
    rewards = {"task": TaskSpecific()}
    rlvr = RLVRWorldModel(codec=codec, backbone=backbone, rewards=rewards, group_size=3)
    rlvr.setup("fit")
    template, legal = codec.template(batch), rlvr.legal_tokens()
    end = codec.end_token
    sequence, sampled = Sampler()(rlvr.backbone, template, legal, 3, end_token=end)
    again = rlvr.log_probs(sequence, 3)
    torch.testing.assert_close(again, sampled, atol=1e-4, rtol=0)


@pytest.mark.parametrize("lora", [None, LORA])
def test_an_exported_language_model_is_a_source(folder, tmp_path, lora):
    if lora is not None:
        pytest.importorskip("peft", reason="peft is not installed")
    torch.manual_seed(0)
    model = LanguageModel(50, architecture=QWEN, lora=lora).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    model.export(tmp_path)
    assert list(tmp_path.glob("*.safetensors"))
    again, ids = LanguageModel(50, source=tmp_path).eval(), torch.randint(50, (2, 7))
    torch.testing.assert_close(again.logits(again(ids)), model.logits(model(ids)))
    assert again.is_pretrained


def test_an_exported_transformer_is_a_llama(tmp_path):
    torch.manual_seed(0)
    model, ids = Transformer(50, dim=32, depth=2, heads=4), torch.randint(50, (2, 7))
    model.export(tmp_path)
    llama = AutoModelForCausalLM.from_pretrained(tmp_path)
    torch.testing.assert_close(llama(ids).logits, model.logits(model(ids)), atol=1e-4, rtol=0)


def test_a_model_without_counterpart_is_named():
    class Other(SequenceModel):
        forward = logits = prompt_cache = sampling_cache = None

    with pytest.raises(ValueError, match="Other has no counterpart in transformers"):
        Other().export("nowhere")


def test_the_tokenizer_reads_in_transformers(folder):
    assert AutoTokenizer.from_pretrained(folder / "tokenizer").eos_token == "<end>"
