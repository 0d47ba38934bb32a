"""``python -m rlvr_world`` is ``rlvr-world``."""

from rlvr_world.cli import console

if __name__ == "__main__":
    console()
