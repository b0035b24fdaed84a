"""What is on record of a graph's half-precision variant. Stored beside the graph, shown by `mirage-rtc voices list`."""

import msgspec


class HalfGraph(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`cosine`: how alike the outputs of half and full precision were at import, at most 1. `stored`: it is used."""

    cosine: float
    stored: bool
