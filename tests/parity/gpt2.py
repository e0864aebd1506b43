"""GPT-2 of transformers and ours, made alike: a config for both, and one table of names for weights and gradients."""

from transformers import GPT2Config, GPT2LMHeadModel

from companion.models import GPT, GPTConfig

LAYER = {
    "attention_norm": "ln_1",
    "attention.output": "attn.c_proj",
    "feed_forward_norm": "ln_2",
    "feed_forward.up": "mlp.c_fc",
    "feed_forward.down": "mlp.c_proj",
}


def reference(config, *, implementation="sdpa"):
    """Make a randomly initialised GPT-2 of transformers of these sizes, which never drops anything."""
    return GPT2LMHeadModel(
        GPT2Config(
            vocab_size=config.vocab_size,
            n_positions=config.max_len,
            n_embd=config.d_model,
            n_head=config.n_heads,
            n_layer=config.n_layers,
            n_inner=config.d_ff,
            resid_pdrop=0.0,
            embd_pdrop=0.0,
            attn_pdrop=0.0,
            bos_token_id=None,
            eos_token_id=None,
            attn_implementation=implementation,
        )
    )


def attention_names(tensors, prefix=""):
    """Rename one attention's tensors (weights or gradients) from GPT-2's names to ours.

    GPT-2 keeps query, key and value in one matrix, and every matrix as (in, out), where nn.Linear has (out, in).
    """
    ours = {"output.weight": tensors[f"{prefix}c_proj.weight"].mT, "output.bias": tensors[f"{prefix}c_proj.bias"]}
    for kind in ("weight", "bias"):
        thirds = tensors[f"{prefix}c_attn.{kind}"].chunk(3, dim=-1)
        ours |= {
            f"{name}.{kind}": third.mT if kind == "weight" else third
            for name, third in zip(("query", "key", "value"), thirds, strict=True)
        }
    return ours


def model_names(tensors, n_layers):
    """Rename a whole GPT-2's tensors (weights or gradients) to ours."""
    ours = {
        "token_embedding.weight": tensors["transformer.wte.weight"],
        "position_embedding.weight": tensors["transformer.wpe.weight"],
        "decoder.norm.weight": tensors["transformer.ln_f.weight"],
        "decoder.norm.bias": tensors["transformer.ln_f.bias"],
    }
    for i in range(n_layers):
        theirs = f"transformer.h.{i}"
        for name, tensor in attention_names(tensors, f"{theirs}.attn.").items():
            ours[f"decoder.blocks.{i}.attention.{name}"] = tensor
        for name, their_name in LAYER.items():
            for kind in ("weight", "bias"):
                tensor = tensors[f"{theirs}.{their_name}.{kind}"]
                ours[f"decoder.blocks.{i}.{name}.{kind}"] = tensor.mT if tensor.dim() == 2 else tensor
    return ours


def pair(config: GPTConfig, **options):
    """Make a GPT-2 of transformers and a GPT of ours with the same random weights."""
    theirs = reference(config, **options)
    ours = GPT(config)
    ours.load_state_dict(model_names(theirs.state_dict(), config.n_layers))
    return ours, theirs
