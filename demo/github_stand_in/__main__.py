"""Serve the stand-in on a port."""

import sys

from demo.github_stand_in.server import GitHub

GitHub(int(sys.argv[1])).serve()
