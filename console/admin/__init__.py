"""Jobs and executions in the admin: the pages that look across several apps."""

from console.admin import executions, jobs

__all__ = ["executions", "jobs"]
