"""Measurements for operators, fed by events alone: Prometheus metrics, OpenTelemetry spans, structured logs."""
