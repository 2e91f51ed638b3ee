"""A decoder-only transformer over characters: pre-norm blocks, learned positions, the output tied to the input embedding."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True)
class Config:
    """The model's shape; what `config.json` holds."""

    vocabulary: int
    """How many characters there are."""
    block_size: int
    """The longest text that the model looks at, in characters."""
    n_layer: int
    n_head: int
    n_embd: int
    """A multiple of `n_head`."""
    dropout: float


class Attention(nn.Module):
    """Causal self-attention with several heads."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.heads = config.n_head
        self.dropout = config.dropout
        self.query_key_value = nn.Linear(config.n_embd, 3 * config.n_embd, bias=False)
        self.output = nn.Linear(config.n_embd, config.n_embd, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        batch, time, width = x.shape
        by_head = self.query_key_value(x).view(batch, time, 3, self.heads, width // self.heads)
        query, key, value = by_head.permute(2, 0, 3, 1, 4).unbind(0)
        dropout = self.dropout if self.training else 0.0
        mixed = F.scaled_dot_product_attention(query, key, value, dropout_p=dropout, is_causal=True)
        return self.output(mixed.transpose(1, 2).reshape(batch, time, width))


class Block(nn.Module):
    """Attention, then a two-layer network on each position; both added to what came in."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(config.n_embd, bias=False)
        self.attention = Attention(config)
        self.network_norm = nn.LayerNorm(config.n_embd, bias=False)
        self.network = nn.Sequential(
            nn.Linear(config.n_embd, 4 * config.n_embd, bias=False),
            nn.GELU(),
            nn.Linear(4 * config.n_embd, config.n_embd, bias=False),
        )
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.dropout(self.attention(self.attention_norm(x)))
        return x + self.dropout(self.network(self.network_norm(x)))


class Gpt(nn.Module):
    """Ids `int64 [batch, time]`, time at most the block size -> logits of the next character `[batch, time, vocabulary]`."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.characters = nn.Embedding(config.vocabulary, config.n_embd)
        self.positions = nn.Embedding(config.block_size, config.n_embd)
        self.dropout = nn.Dropout(config.dropout)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.n_layer))
        self.norm = nn.LayerNorm(config.n_embd, bias=False)
        self.logits = nn.Linear(config.n_embd, config.vocabulary, bias=False)
        self.apply(_initialise)
        # Each block adds twice to the residual stream: smaller starts keep its size whatever the depth (GPT-2, section 2.3).
        for name, weight in self.named_parameters():
            if name.endswith(("attention.output.weight", "network.2.weight")):
                nn.init.normal_(weight, std=0.02 / (2 * config.n_layer) ** 0.5)
        self.logits.weight = self.characters.weight

    def forward(self, ids: Tensor) -> Tensor:
        places = torch.arange(ids.shape[1], device=ids.device)
        x = self.dropout(self.characters(ids) + self.positions(places))
        for block in self.blocks:
            x = block(x)
        return self.logits(self.norm(x))

    @torch.no_grad()
    def continued(self, ids: Tensor, length: int, temperature: float, generator: torch.Generator) -> Tensor:
        """`ids [time]` with `length` more characters drawn from the model. `generator` is one of the model's device."""
        for _ in range(length):
            seen = ids[-self.config.block_size :]
            logits = self(seen[None])[0, -1].float() / temperature
            following = torch.multinomial(logits.softmax(dim=-1), 1, generator=generator)
            ids = torch.cat([ids, following])
        return ids


def _initialise(layer: nn.Module) -> None:
    if isinstance(layer, (nn.Linear, nn.Embedding)):
        nn.init.normal_(layer.weight, std=0.02)
