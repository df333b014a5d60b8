"""Language models for the tests of the command: the shared story model, and a tiny one with random weights."""

import json
import os
import random
import struct
from typing import Dict, List, Tuple

from command import SHARED, floats, safetensors

STORIES = os.path.join(SHARED, "models", "stories260k")
REFERENCE = os.path.join(STORIES, "reference.safetensors")
Tensors = Dict[str, Tuple[str, List[int], bytes]]


def integers(values: List[int]) -> bytes:
    return struct.pack(f"<{len(values)}q", *values)


def read_integers(path: str, name: str) -> List[int]:
    """The elements of an I64 tensor of a safetensors file."""
    with open(path, "rb") as file:
        size = struct.unpack("<Q", file.read(8))[0]
        entry = json.loads(file.read(size))[name]
        begin, end = entry["data_offsets"]
        file.seek(8 + size + begin)
        return list(struct.unpack(f"<{(end - begin) // 8}q", file.read(end - begin)))


def tiny_config() -> Dict:
    return {"model_type": "llama", "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 1, "num_attention_heads": 2,
            "num_key_value_heads": 1, "head_dim": 16, "vocab_size": 40, "max_position_embeddings": 32, "rms_norm_eps": 1e-5,
            "rope_theta": 10000.0, "tie_word_embeddings": False, "hidden_act": "silu", "torch_dtype": "float32"}


def tiny_tensors(vocabulary: int = 40) -> Tensors:
    dice = random.Random(1)
    layer = "model.layers.0."
    shapes = {"model.embed_tokens.weight": [vocabulary, 32], "model.norm.weight": [32], "lm_head.weight": [vocabulary, 32],
              layer + "input_layernorm.weight": [32], layer + "post_attention_layernorm.weight": [32],
              layer + "self_attn.q_proj.weight": [32, 32], layer + "self_attn.k_proj.weight": [16, 32],
              layer + "self_attn.v_proj.weight": [16, 32], layer + "self_attn.o_proj.weight": [32, 32],
              layer + "mlp.gate_proj.weight": [48, 32], layer + "mlp.up_proj.weight": [48, 32], layer + "mlp.down_proj.weight": [32, 48]}
    out = {}
    for name, shape in shapes.items():
        count = shape[0] * (shape[1] if len(shape) == 2 else 1)
        out[name] = ("F32", shape, floats([dice.gauss(0, 0.2) for _ in range(count)]))
    return out


def write_model(folder: str, config: Dict, shards: Dict[str, Tensors]) -> None:
    """With an index when there are several shards."""
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "config.json"), "w", encoding="utf-8") as file:
        json.dump(config, file)
    for name, tensors in shards.items():
        safetensors(os.path.join(folder, name), tensors)
    if len(shards) > 1:
        places = {tensor: name for name, tensors in shards.items() for tensor in tensors}
        with open(os.path.join(folder, "model.safetensors.index.json"), "w", encoding="utf-8") as file:
            json.dump({"weight_map": places}, file)
