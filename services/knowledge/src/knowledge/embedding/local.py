"""The local model: one vector per token from a table, averaged. No network, no key, no accelerator.

The table and the tokenizer ship inside the wheel of `wordllama`; the package itself is not imported, because it
looks for the tokenizer on the network. Work happens in one thread beside the event loop: the tokenizer is native
code that lets go of the interpreter's lock, so requests go on meanwhile, and the averaging that holds it takes
microseconds per text. Averages are taken in a fixed order in single precision, so a text always gets the same
vector.
"""

import asyncio
import importlib.util
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file
from tokenizers import Tokenizer

from common.errors import ConfigurationError, InvalidRequest
from knowledge.ports import Vectors

MODEL = "wordllama-l2-supercat-256"
DIMENSIONS = 256

_BATCH = 64
"""Texts per call of the tokenizer: enough to be quick, few enough to keep memory small."""


class LocalEmbedder:
    provider = "local"
    model = MODEL
    dimensions = DIMENSIONS

    def __init__(self) -> None:
        self._table, self._tokenizer = _load(_package_folder())
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="embedding")

    async def embed(self, texts: Sequence[str]) -> tuple[Vectors, int]:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, self.embed_now, list(texts))

    async def close(self) -> None:
        self._thread.shutdown(wait=True, cancel_futures=True)

    def embed_now(self, texts: list[str]) -> tuple[Vectors, int]:
        vectors = np.empty((len(texts), DIMENSIONS), dtype=np.float32)
        tokens = 0
        for start in range(0, len(texts), _BATCH):
            encodings = self._tokenizer.encode_batch_fast(
                texts[start : start + _BATCH], add_special_tokens=False
            )
            for place, encoding in enumerate(encodings, start):
                vectors[place] = self._average(encoding.ids)
                tokens += len(encoding.ids)
        return vectors, tokens

    def _average(self, token_ids: list[int]) -> NDArray[np.float32]:
        average = self._table[token_ids].mean(axis=0, dtype=np.float32) if token_ids else None
        norm = 0.0 if average is None else float(np.linalg.norm(average))
        if average is None or norm == 0.0:
            # The average of nothing is not a number, and would poison every comparison with it.
            raise InvalidRequest("There is nothing to embed in an empty text.", code="empty_text")
        unit: NDArray[np.float32] = average / np.float32(norm)
        return unit


def _package_folder() -> Path:
    spec = importlib.util.find_spec("wordllama")
    if spec is None or not spec.submodule_search_locations:
        raise ConfigurationError(
            "EMBEDDING_PROVIDER is local, but the package wordllama, which carries the model, is not installed."
        )
    return Path(spec.submodule_search_locations[0])


def _load(folder: Path) -> tuple[NDArray[np.float16], Tokenizer]:
    tables = load_file(folder / "weights" / "l2_supercat_256.safetensors")
    # Kept as the half precision it ships in: 16 MB instead of 32, and the average is taken in single precision.
    table: NDArray[np.float16] = next(iter(tables.values()))
    tokenizer = Tokenizer.from_file(
        str(folder / "tokenizers" / "l2_supercat_tokenizer_config.json")
    )
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return table, tokenizer
