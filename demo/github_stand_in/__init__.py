"""A stand-in for GitHub's API on loopback, for tests and for trying workflows offline (`make demo-github`).

The name of a workflow decides its result: `NAME.yml`, where NAME is a conclusion (`success`, `failure`, `cancelled`,
`timed_out`, `action_required`, `startup_failure`), optionally with seconds, as in `failure-60.yml`. `A_then_B.yml`
concludes A at its first attempt and B when it is run again; `queued.yml` stays queued, and `waiting.yml` waits for an
approval. Every owner and repository exists; the token `revoked` is refused with 401. Statuses, headers and bodies
follow GitHub's REST documentation, which the methods name.

Run it as `python -m demo.github_stand_in PORT`.
"""

from demo.github_stand_in.runs import Run, annotation
from demo.github_stand_in.server import GitHub, zipped

__all__ = ["GitHub", "Run", "annotation", "zipped"]
