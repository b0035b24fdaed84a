"""Mirage: a self-hosted WebRTC server that swaps the face and converts the voice of a live call."""

import logging

__version__ = "0.1.0"

logging.getLogger(__name__).addHandler(logging.NullHandler())
