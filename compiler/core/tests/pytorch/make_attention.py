#!/usr/bin/env python3
"""Writes mha*.safetensors, encoder_*.safetensors and decoder_*.safetensors: torch's own modules in float64, whose state is
given by the names of their state_dict. Run: python make_attention.py"""
from pathlib import Path

import torch
from torch import nn

from safetensors_file import save

HERE = Path(__file__).parent


def case(name, module, call, program, *inputs):
    torch.manual_seed(3)
    module = module.double().train()
    for each in module.parameters():  # also those that begin at zero or one
        each.data = torch.randn(each.shape, dtype=torch.float32).double() * 0.4
    given = {key: torch.randn(shape).double().requires_grad_() for key, shape in inputs}
    out = call(module, **given)
    cotangent = torch.randn(out.shape)
    (out * cotangent.double()).sum().backward()
    leaves = dict(module.named_parameters())
    tensors = {f"in.{key}": each for key, each in given.items()}
    tensors |= {f"grad.{key}": each.grad for key, each in given.items()}
    tensors |= {f"param.f.{key}": each for key, each in leaves.items()}
    tensors |= {f"grad.f.{key}": each.grad for key, each in leaves.items()}
    tensors |= {"out": out, "cotangent": cotangent}
    tensors = {key: each.float() for key, each in tensors.items()}
    save(tensors, HERE / f"{name}.safetensors", {"mode": "train", "rtol": "0.0001", "atol": "1e-05"})
    signature = ", ".join(f"{key}: f32[{', '.join(map(str, shape))}]" for key, shape in inputs)
    (HERE / f"{name}.dlm").write_text(f"block Case({signature}) -> f32[..] {{\n{program}\n}}\n")


def later(n):
    """What may not be attended to, as torch says it."""
    return torch.ones(n, n, dtype=torch.bool).triu(1)


def mha(embed, heads, **kinds):
    return nn.MultiheadAttention(embed, heads, batch_first=True, **kinds)


def layer(kind, act, pre):
    return kind(8, 2, 12, dropout=0.0, activation=act, batch_first=True, norm_first=pre)


case("mha", mha(16, 4), lambda m, x: m(x, x, x, attn_mask=later(7))[0],
     "  let f = MultiHeadAttention[4, causal=true]\n  return f(x, x, x)", ("x", (2, 7, 16)))
case("mha_cross", mha(8, 2), lambda m, q, k, v: m(q, k, v)[0],
     "  let f = MultiHeadAttention[2]\n  return f(q, k, v)", ("q", (2, 5, 8)), ("k", (2, 3, 8)), ("v", (2, 3, 8)))
case("mha_widths", mha(8, 2, kdim=6, vdim=4), lambda m, q, k, v: m(q, k, v)[0],
     "  let f = MultiHeadAttention[2]\n  return f(q, k, v)", ("q", (2, 5, 8)), ("k", (2, 3, 6)), ("v", (2, 3, 4)))
for act in ["gelu", "relu"]:
    for pre in [True, False]:
        statics = f"2, ff=12, dropout=0, pre_norm={str(pre).lower()}, act={act}"
        end = f"{'pre' if pre else 'post'}_{act}"
        case(f"encoder_{end}", layer(nn.TransformerEncoderLayer, act, pre), lambda m, x: m(x),
             f"  let f = TransformerLayer[{statics}]\n  return f(x)", ("x", (2, 5, 8)))
        case(f"decoder_{end}", layer(nn.TransformerDecoderLayer, act, pre), lambda m, x, memory: m(x, memory, tgt_mask=later(5)),
             f"  let f = TransformerLayer[{statics}, causal=true]\n  return f(x, memory)", ("x", (2, 5, 8)), ("memory", (2, 3, 8)))
