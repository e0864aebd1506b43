"""The tested code behind *Pretrained Language Models: From Theory to Practice*."""

__version__ = "0.1.0"
