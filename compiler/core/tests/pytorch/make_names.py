#!/usr/bin/env python3
"""Writes names.txt: for each block of the library the names and shapes of torch's module. Run: python make_names.py"""
from pathlib import Path

from torch import nn

X, IMAGE, LINE, VOLUME = "x: f32[2, 5, 8]", "x: f32[2, 8, 5, 6]", "x: f32[2, 8, 7]", "x: f32[2, 8, 4, 4, 4]"
CELL, IDS = "x: f32[2, 8], h: f32[2, 6], c: f32[2, 6]", "x: i32[2, 5]"
AT = dict(batch_first=True)
ROWS = [
    ("Linear[6]", X, "f(x)", nn.Linear(8, 6)),
    ("Linear[6, bias=false]", X, "f(x)", nn.Linear(8, 6, bias=False)),
    ("Conv1d[6, 3, groups=2]", LINE, "f(x)", nn.Conv1d(8, 6, 3, groups=2)),
    ("Conv2d[6, (3, 2)]", IMAGE, "f(x)", nn.Conv2d(8, 6, (3, 2))),
    ("Conv3d[6, 3]", VOLUME, "f(x)", nn.Conv3d(8, 6, 3)),
    ("ConvTranspose1d[6, 3]", LINE, "f(x)", nn.ConvTranspose1d(8, 6, 3)),
    ("ConvTranspose2d[6, 3, groups=2]", IMAGE, "f(x)", nn.ConvTranspose2d(8, 6, 3, groups=2)),
    ("Embedding[9, 4]", IDS, "f(x)", nn.Embedding(9, 4)),
    ("BatchNorm", IMAGE, "f(x)", nn.BatchNorm2d(8)),
    ("BatchNorm[affine=false]", IMAGE, "f(x)", nn.BatchNorm2d(8, affine=False)),
    ("LayerNorm", X, "f(x)", nn.LayerNorm(8)),
    ("RMSNorm", X, "f(x)", nn.RMSNorm(8)),
    ("GroupNorm[4]", IMAGE, "f(x)", nn.GroupNorm(4, 8)),
    ("InstanceNorm", IMAGE, "f(x)", nn.InstanceNorm2d(8)),
    ("PReLU", X, "f(x)", nn.PReLU()),
    ("LstmCell[6]", CELL, "f(x, h, c)[0]", nn.LSTMCell(8, 6)),
    ("GruCell[6]", CELL, "f(x, h)", nn.GRUCell(8, 6)),
    ("Lstm[6, layers=2]", X, "f(x)", nn.LSTM(8, 6, 2, **AT)),
    ("Gru[6, layers=2]", X, "f(x)", nn.GRU(8, 6, 2, **AT)),
    ("Rnn[6, bidirectional=true]", X, "f(x)", nn.RNN(8, 6, bidirectional=True, **AT)),
    ("MultiHeadAttention[2]", X, "f(x, x, x)", nn.MultiheadAttention(8, 2, **AT)),
    ("MultiHeadAttention[2]", X + ", k: f32[2, 3, 6]", "f(x, k, k)", nn.MultiheadAttention(8, 2, kdim=6, vdim=6, **AT)),
    ("TransformerLayer[2, ff=12]", X, "f(x)", nn.TransformerEncoderLayer(8, 2, 12, **AT)),
    ("TransformerLayer[2, ff=12]", X, "f(x, x)", nn.TransformerDecoderLayer(8, 2, 12, **AT)),
]

lines = []
for block, arguments, call, module in ROWS:
    lines.append(f"{block} | {arguments} | {call}")
    for name, tensor in module.state_dict().items():
        if name != "num_batches_tracked":  # it serves a momentum of None alone
            lines.append(f"  {name} f32[{', '.join(map(str, tensor.shape))}]")
(Path(__file__).parent / "names.txt").write_text("\n".join(lines) + "\n")
