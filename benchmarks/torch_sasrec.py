"""A plain SASRec in PyTorch, to compare speed of training with: padded batches, nothing clever.

W.-C. Kang and J. McAuley, Self-Attentive Sequential Recommendation, ICDM 2018: learnt positions, post-norm of
queries only, point-wise feed-forward of the same width, one random negative a position and binary cross
entropy. `shared` takes a softmax over the target and negatives that the whole batch shares instead.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from models.recommender.base import Ints, Longs


class Block(nn.Module):
    """Causal self-attention and a point-wise feed-forward, each with a residual."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.before, self.between = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = nn.MultiheadAttention(width, heads, dropout, batch_first=True)
        self.forward_1, self.forward_2 = nn.Linear(width, width), nn.Linear(width, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: torch.Tensor, causal: torch.Tensor) -> torch.Tensor:
        query = self.before(x)
        x = query + self.attention(query, x, x, attn_mask=causal, need_weights=False)[0]
        y = self.between(x)
        hidden = self.dropout(functional.relu(self.forward_1(y)))
        return y + self.dropout(self.forward_2(hidden))


class SASRec(nn.Module):
    """Item 0 is padding. `loss` takes (batch, length) inputs and targets."""

    def __init__(
        self,
        items: int,
        width: int = 64,
        blocks: int = 2,
        heads: int = 2,
        length: int = 50,
        dropout: float = 0.2,
    ) -> None:
        super().__init__()
        self.item = nn.Embedding(items + 1, width, padding_idx=0)
        self.place = nn.Embedding(length, width)
        self.blocks = nn.ModuleList(Block(width, heads, dropout) for _ in range(blocks))
        self.last = nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)
        self.register_buffer("causal", torch.triu(torch.ones(length, length, dtype=torch.bool), 1))

    def states(self, item: torch.Tensor) -> torch.Tensor:
        """(batch, length, width)."""
        x = self.item(item) * self.item.embedding_dim**0.5 + self.place.weight
        there = (item > 0).unsqueeze(-1)
        x = self.dropout(x) * there
        for block in self.blocks:
            x = block(x, self.causal) * there
        found: torch.Tensor = self.last(x)
        return found

    def loss(self, item: torch.Tensor, target: torch.Tensor, negative: torch.Tensor) -> torch.Tensor:
        """negative (batch, length): binary cross entropy; (negatives,): softmax with shared negatives."""
        states, real = self.states(item)[target > 0], target[target > 0]
        positive = (states * self.item(real)).sum(-1)
        if negative.dim() == 2:
            other = (states * self.item(negative[target > 0])).sum(-1)
            return -(functional.logsigmoid(positive) + functional.logsigmoid(-other)).mean()
        others = states @ self.item(negative).T
        others = others.masked_fill(real.unsqueeze(1) == negative, -torch.inf)
        return (torch.logsumexp(torch.cat([positive.unsqueeze(1), others], 1), 1) - positive).mean()


def padded(item: Ints, indptr: Longs, length: int) -> tuple[Ints, Ints]:
    """(users, length) inputs and targets, both left-padded; the last `length` steps of everybody."""
    inputs, targets = (np.zeros((len(indptr) - 1, length), np.int64) for _ in range(2))
    for user in range(len(indptr) - 1):
        own = item[indptr[user] : indptr[user + 1]][-length - 1 :] + 1
        if len(own) > 1:
            inputs[user, -len(own) + 1 :], targets[user, -len(own) + 1 :] = own[:-1], own[1:]
    return inputs, targets
