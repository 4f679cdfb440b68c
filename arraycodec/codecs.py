"""Our codec objects by their parameters: what a host has stored becomes what users write."""

from __future__ import annotations

from .ansquant import AnsQuant
from .config import Config
from .hosted import HostedCodec, StoredConfig
from .lowrankconfig import LowRankConfig
from .lowrankquant import LowRankQuant
from .stochasticconfig import StochasticConfig
from .stochasticquant import StochasticQuant
from .varintquant import VarintQuant

#: All of them.
CODECS: tuple[type[HostedCodec], ...] = (AnsQuant, VarintQuant, StochasticQuant, LowRankQuant)


def of_parameters(config: Config | StoredConfig) -> HostedCodec:
    """The codec that encodes with these parameters."""
    if isinstance(config, Config):
        kind: type[HostedCodec] = AnsQuant if config.coder is None else VarintQuant
    else:
        kinds: dict[type, type[HostedCodec]] = {StochasticConfig: StochasticQuant, LowRankConfig: LowRankQuant}
        kind = kinds[type(config)]
    return kind(**config.to_json())
