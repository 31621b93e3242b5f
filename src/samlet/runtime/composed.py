"""Two backends of one model as one: the first encodes, the second decodes.

Which runtime is fastest differs between the two, and the features that pass between them are plain arrays.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from samlet.backend import Backend, MaskLogits
from samlet.errors import BackendError
from samlet.spec import ModelSpec
from samlet.tokens import PromptTokens


class ComposedBackend:
    """Backend that encodes with `encoder` and decodes with `decoder`; BackendError if their models differ.

    Its name is "ENCODER+DECODER", or that of both. Safe to use from many threads if both are.
    """

    def __init__(self, encoder: Backend, decoder: Backend) -> None:
        if encoder.spec != decoder.spec:
            raise BackendError(
                f"The encoder is of {encoder.spec.name} and the decoder of {decoder.spec.name}: they must be one model."
            )
        self.name: str = encoder.name if encoder.name == decoder.name else f"{encoder.name}+{decoder.name}"
        self.spec: ModelSpec = encoder.spec
        self.encoder = encoder
        self.decoder = decoder

    def encode(self, pixels: NDArray[np.float32]) -> Mapping[str, NDArray[Any]]:
        """The encoder's features; see `samlet.backend.Backend`."""
        return self.encoder.encode(pixels)

    def decode(self, features: Mapping[str, NDArray[Any]], tokens: PromptTokens) -> MaskLogits:
        """The decoder's candidates; see `samlet.backend.Backend`."""
        return self.decoder.decode(features, tokens)
