"""Writes a Llama-shaped checkpoint with random bf16 weights, shard by shard: for sizes and speed, not for text.

    PYTHON tests/benchmarks/peers/random_llama.py FOLDER [--shape 176m|1b|7b] [--seed 0]

Needs numpy. Weights are normal with deviation 1 / sqrt(inputs), norms are 1. A shard has one layer; memory stays near one
tensor. The 176 M shape is that of the peer script for llama.cpp.
"""

import argparse
import json
import os
import struct
from typing import Dict, List, Tuple

import numpy as np

SHAPES = {
    "176m": dict(hidden_size=2048, intermediate_size=5632, num_hidden_layers=4, num_attention_heads=32,
                 num_key_value_heads=4, vocab_size=512),
    "1b": dict(hidden_size=2048, intermediate_size=5632, num_hidden_layers=22, num_attention_heads=32,
               num_key_value_heads=4, vocab_size=32000),
    "7b": dict(hidden_size=4096, intermediate_size=11008, num_hidden_layers=32, num_attention_heads=32,
               num_key_value_heads=32, vocab_size=32000),
}
Tensor = Tuple[str, List[int]]


def layer_tensors(c: Dict[str, int], n: int) -> List[Tensor]:
    d, f = c["hidden_size"], c["intermediate_size"]
    kv = d // c["num_attention_heads"] * c["num_key_value_heads"]
    at = f"model.layers.{n}."
    shapes = {"self_attn.q_proj": [d, d], "self_attn.k_proj": [kv, d], "self_attn.v_proj": [kv, d], "self_attn.o_proj": [d, d],
              "mlp.gate_proj": [f, d], "mlp.up_proj": [f, d], "mlp.down_proj": [d, f],
              "input_layernorm": [d], "post_attention_layernorm": [d]}
    return [(at + name + ".weight", shape) for name, shape in shapes.items()]


def outer_tensors(c: Dict[str, int]) -> List[Tensor]:
    d, v = c["hidden_size"], c["vocab_size"]
    return [("model.embed_tokens.weight", [v, d]), ("model.norm.weight", [d]), ("lm_head.weight", [v, d])]


def bfloat16(values: np.ndarray) -> bytes:
    bits = values.view(np.uint32)
    return ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype("<u2").tobytes()


def write_shard(path: str, tensors: List[Tensor], random: np.random.Generator) -> int:
    header, offset = {}, 0
    for name, shape in tensors:
        size = 2 * int(np.prod(shape))
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for _, shape in tensors:
            rows = random.standard_normal(shape, dtype=np.float32) / np.float32(np.sqrt(shape[-1]))
            file.write(bfloat16(rows if len(shape) == 2 else np.ones(shape, np.float32)))
    return offset


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("--shape", choices=SHAPES, default="176m")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    config = SHAPES[options.shape]
    os.makedirs(options.folder, exist_ok=True)
    random = np.random.default_rng(options.seed)
    shards = [layer_tensors(config, n) for n in range(config["num_hidden_layers"])] + [outer_tensors(config)]
    where, total = {}, 0
    for number, tensors in enumerate(shards, 1):
        name = f"model-{number:05d}-of-{len(shards):05d}.safetensors"
        total += write_shard(os.path.join(options.folder, name), tensors, random)
        where.update({tensor: name for tensor, _ in tensors})
    with open(os.path.join(options.folder, "model.safetensors.index.json"), "w", encoding="utf-8") as file:
        json.dump({"metadata": {"total_size": total}, "weight_map": where}, file, indent=1)
    full = dict(architectures=["LlamaForCausalLM"], model_type="llama", hidden_act="silu", max_position_embeddings=2048,
                rms_norm_eps=1e-5, rope_theta=10000.0, tie_word_embeddings=False, bos_token_id=1, eos_token_id=2,
                torch_dtype="bfloat16", **config)
    with open(os.path.join(options.folder, "config.json"), "w", encoding="utf-8") as file:
        json.dump(full, file, indent=1)
    print(f"{options.folder}: {total / 2e6:.1f} M weights, {total / 1e9:.2f} GB in {len(shards)} shards")


if __name__ == "__main__":
    main()
