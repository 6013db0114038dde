"""Workflow runs after their dispatch: they are followed to their end, what failed in them is read, they are run again,
and what people do with them on GitHub afterwards counts. docs/github.md describes it to users.
"""
