"""PCCL's Python package, made of Collective's: see :mod:`collective.pccl`."""

import sys

import collective.pccl

# The module itself, so that its submodules are found under both names, and what is set in one is seen in the other.
sys.modules[__name__] = collective.pccl
