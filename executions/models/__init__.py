"""Executions, what is kept beside them, batches, workers, and rollups."""

from executions.models.batches import MOST_AT_ONCE, Batch, BatchRun, BatchRunQuerySet
from executions.models.execution import (
    OPEN,
    WITHOUT_NUMBER,
    Execution,
    ExecutionQuerySet,
    Hold,
    PendingOutcome,
    Status,
    TriggerType,
)
from executions.models.parts import PARTS, BudgetWait, Exchange, Poll, Report, StepLog, WorkflowRun
from executions.models.statistics import FireLagBucket, HistoryVersion, HourlyCounts, Rollup, Total
from executions.models.workers import DispatchBudget, LimitAllocation, SharedLimit, Worker

__all__ = [
    "MOST_AT_ONCE",
    "OPEN",
    "PARTS",
    "WITHOUT_NUMBER",
    "Batch",
    "BatchRun",
    "BatchRunQuerySet",
    "BudgetWait",
    "DispatchBudget",
    "Exchange",
    "Execution",
    "ExecutionQuerySet",
    "FireLagBucket",
    "HistoryVersion",
    "Hold",
    "HourlyCounts",
    "LimitAllocation",
    "PendingOutcome",
    "Poll",
    "Report",
    "Rollup",
    "SharedLimit",
    "Status",
    "StepLog",
    "Total",
    "TriggerType",
    "Worker",
    "WorkflowRun",
]
