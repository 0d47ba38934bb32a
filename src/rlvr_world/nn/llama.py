"""Weights of our ``Transformer`` to and from ``transformers.LlamaForCausalLM``."""

from transformers import LlamaConfig, LlamaForCausalLM

from rlvr_world.nn.llama_weights import from_llama_weights, llama_weights
from rlvr_world.nn.transformer import Transformer


def to_llama(model: Transformer) -> LlamaForCausalLM:
    """The same model as ``transformers`` holds it, with a copy of the weights."""
    attention = model.blocks[0].attention
    heads, kv_heads, _ = attention.sizes
    config = LlamaConfig(
        vocab_size=model.embedding.num_embeddings,
        hidden_size=model.embedding.embedding_dim,
        intermediate_size=model.blocks[0].feed_forward.down.in_features,
        num_hidden_layers=len(model.blocks),
        num_attention_heads=heads,
        num_key_value_heads=kv_heads,
        head_dim=model.head_dim,
        rms_norm_eps=model.norm.eps,
        rope_theta=model.rope_theta,
        tie_word_embeddings=False,
    )
    llama = LlamaForCausalLM(config)
    llama.load_state_dict(dict(llama_weights(model)))
    return llama


def from_llama(llama: LlamaForCausalLM) -> Transformer:
    """Our model with a copy of the weights of ``llama``.

    Raises:
        ValueError: The model uses something that ours does not have.
    """
    config = llama.config
    rope = config.rope_parameters
    if rope.get("rope_type", "default") != "default" or config.attention_bias or config.mlp_bias:
        raise ValueError(
            "only Llama models with plain rotary positions and no biases are supported"
        )
    model = Transformer(
        vocab_size=config.vocab_size,
        dim=config.hidden_size,
        depth=config.num_hidden_layers,
        heads=config.num_attention_heads,
        kv_heads=config.num_key_value_heads,
        hidden=config.intermediate_size,
        rope_theta=rope["rope_theta"],
        norm_eps=config.rms_norm_eps,
    )
    model.load_state_dict(from_llama_weights(llama.state_dict(), config.num_hidden_layers))
    return model
