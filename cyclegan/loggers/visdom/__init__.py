"""Curves, grids and health on a Visdom page, sent by a thread that training never waits for."""

from cyclegan.loggers.visdom.logger import VisdomLogger

__all__ = ["VisdomLogger"]
