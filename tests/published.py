"""Published checkpoints with random weights: configs, and folders of them."""

import json

import torch
from published_shapes import shapes
from safetensors.torch import save_file

FRAME = {
    "_class_name": "CNNFSQModel256",
    "_diffusers_version": "0.27.0",
    "act_fn": "silu",
    "block_out_channels": [128, 256, 256, 512, 768],
    "down_block_types": ["DownEncoderBlock2D"] * 5,
    "fsq_levels": 12,
    "in_channels": 3,
    "latent_channels": 64,
    "layers_per_block": 2,
    "norm_num_groups": 32,
    "norm_type": "group",
    "out_channels": 3,
    "resolution": 256,
    "up_block_types": ["UpDecoderBlock2D"] * 5,
}
COMPRESSIVE = {
    "_class_name": "CompressiveVQModelFSQ",
    "_diffusers_version": "0.27.0",
    "act_fn": "silu",
    "block_out_channels": [128, 256, 256, 512],
    "context_length": 1,
    "down_block_types": ["DownEncoderBlock2D"] * 4,
    "dyn_fsq_levels": 12,
    "force_upcast": True,
    "in_channels": 3,
    "latent_channels": 64,
    "layers_per_block": 2,
    "lookup_from_codebook": True,
    "max_att_resolution": 32,
    "mid_block_add_attention": False,
    "norm_num_groups": 32,
    "norm_type": "group",
    "out_channels": 3,
    "patch_size": 4,
    "resolution": 256,
    "sample_size": 32,
    "scaling_factor": 0.18215,
    "up_block_types": ["UpDecoderBlock2D"] * 4,
    "vq_fsq_levels": 12,
}
LLAMA = {
    "architectures": ["LlamaForCausalLM"],
    "attention_bias": False,
    "bos_token_id": 4631,
    "eos_token_id": 4632,
    "hidden_act": "silu",
    "hidden_size": 768,
    "intermediate_size": 3072,
    "max_position_embeddings": 8192,
    "model_type": "llama",
    "num_attention_heads": 12,
    "num_hidden_layers": 12,
    "num_key_value_heads": 12,
    "rms_norm_eps": 1e-6,
    "rope_theta": 10000.0,
    "tie_word_embeddings": False,
    "torch_dtype": "float32",
    "vocab_size": 4633,
}
MULTI_STEP_LLAMA = LLAMA | {"vocab_size": 9008, "bos_token_id": 9006, "eos_token_id": 9007}

SMALL_FRAME = FRAME | {
    "block_out_channels": [32, 32, 64],
    "down_block_types": ["DownEncoderBlock2D"] * 3,
    "up_block_types": ["UpDecoderBlock2D"] * 3,
    "latent_channels": 12,
    "layers_per_block": 1,
}
SMALL_CLIPS = COMPRESSIVE | {
    "block_out_channels": [32, 64],
    "down_block_types": ["DownEncoderBlock2D"] * 2,
    "up_block_types": ["UpDecoderBlock2D"] * 2,
    "latent_channels": 12,
    "layers_per_block": 1,
    "resolution": 64,
}
SMALL_LLAMA = LLAMA | {
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_attention_heads": 2,
    "num_hidden_layers": 2,
    "num_key_value_heads": 2,
}


def random_weights(config, dtype=torch.float32):
    """Weights that keep activations of order 1, none of them 0."""
    random = torch.Generator().manual_seed(0)
    weights = {}
    for name, shape in shapes(config).items():
        fan_in = torch.Size(shape[1:]).numel()
        noise = torch.randn(shape, generator=random)
        is_scale = "norm" in name and name.endswith("weight")
        weights[name] = (1 + 0.2 * noise if is_scale else noise / (2 + fan_in) ** 0.5).to(dtype)
    return weights


def write(folder, config, weights, parts=1):
    """A folder as it would be downloaded, the weights in one file or in several."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))
    stem = "model" if "model_type" in config else "diffusion_pytorch_model"
    if parts == 1:
        save_file(weights, folder / f"{stem}.safetensors", metadata={"format": "pt"})
        return folder
    weight_map = {
        name: f"{stem}-{1 + i % parts:05}-of-{parts:05}.safetensors"
        for i, name in enumerate(sorted(weights))
    }
    for file in set(weight_map.values()):
        save_file({n: weights[n] for n, f in weight_map.items() if f == file}, folder / file)
    index = {"metadata": {}, "weight_map": weight_map}
    (folder / f"{stem}.safetensors.index.json").write_text(json.dumps(index))
    return folder
