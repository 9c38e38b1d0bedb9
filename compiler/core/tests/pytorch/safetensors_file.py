"""Writes a safetensors file from tensors of torch, with nothing but the standard library."""
import json
import struct

import torch

NAMES = {torch.float32: "F32", torch.int32: "I32", torch.bool: "BOOL"}


def save(tensors, path, metadata):
    header, data = {"__metadata__": metadata}, b""
    for name, tensor in sorted(tensors.items()):
        raw = tensor.detach().contiguous().numpy().tobytes()
        header[name] = {"dtype": NAMES[tensor.dtype], "shape": list(tensor.shape),
                        "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)
