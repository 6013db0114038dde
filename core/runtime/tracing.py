"""Tracing by OpenTelemetry, enabled by `OTEL_EXPORTER_OTLP_ENDPOINT`.

The other `OTEL_` variables are OpenTelemetry's own ("Environment Variable Specification").
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

from django.conf import settings

from core.runtime.signed_addresses import NOT_TRACED

_tracer: Any = None


def start() -> None:
    """Trace requests and executions from now on, if an endpoint is configured. Call it once per process."""
    global _tracer
    if not settings.OTEL_EXPORTER_OTLP_ENDPOINT or _tracer is not None:
        return
    from opentelemetry import trace
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.instrumentation.django import DjangoInstrumentor
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
    DjangoInstrumentor().instrument(excluded_urls=NOT_TRACED)
    _tracer = trace.get_tracer("cronsched")


def is_on() -> bool:
    """Whether executions are traced."""
    return _tracer is not None


def span(name: str, **attributes: object) -> AbstractContextManager[Any]:
    """A span around a block, with its attributes as texts; a no-op if tracing is off."""
    if _tracer is None:
        return nullcontext()
    texts = {key: str(value) for key, value in attributes.items()}
    found: AbstractContextManager[Any] = _tracer.start_as_current_span(name, attributes=texts)
    return found


def parent() -> str:
    """The `traceparent` of the current span (W3C Trace Context); '' if tracing is off."""
    if _tracer is None:
        return ""
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    carrier: dict[str, str] = {}
    TraceContextTextMapPropagator().inject(carrier)
    return carrier.get("traceparent", "")
