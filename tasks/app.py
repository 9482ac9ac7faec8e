"""The Celery application: one queue a provider, JSON messages that hold ids only, acknowledged late.

Configured when first used, not when imported: the URLs come from the settings.
"""

from typing import Any

from celery import Celery
from kombu import Exchange, Queue

from core.settings import PREFIXES, RULES, settings

EXCHANGE = Exchange("llmsweep", type="direct")

VISIBILITY_TIMEOUT_S = 900
"""A killed worker's messages come back after this long; the ledger's lease is faster and decides."""

app = Celery("llmsweep", include=["tasks.chunk"])


def queue_name(provider: str) -> str:
    """``provider.openai``, ``provider.azure`` ..."""
    return f"provider.{provider}"


def _configuration() -> dict[str, Any]:
    broker = settings().broker()
    is_redis = broker.startswith(("redis", "valkey", "unix"))
    return {
        "broker_url": broker,
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,  # a broker that is away is waited for
        "broker_channel_error_retry": True,  # so is one that is out of memory; Celery would end the worker
        "broker_pool_limit": 10,
        "broker_transport_options": _REDIS_OPTIONS if is_redis else {"confirm_publish": True},
        "task_queues": [Queue(queue_name(name), EXCHANGE, routing_key=queue_name(name)) for name in (*PREFIXES, RULES)],
        "task_default_exchange": EXCHANGE.name,
        "task_create_missing_queues": False,
        "task_serializer": "json",
        "accept_content": ["json"],
        "result_backend": None,
        "task_ignore_result": True,  # results are rows; Flower reads the return value from the event
        "task_acks_late": True,
        "task_reject_on_worker_lost": True,
        "task_publish_retry": False,  # the feeder publishes again by itself
        "worker_prefetch_multiplier": 1,
        "worker_cancel_long_running_tasks_on_connection_loss": False,  # the lease makes a redelivery harmless
        # Celery would raise the prefetch count again from the tasks' threads while its loop reads the same AMQP
        # connection: after a restart of RabbitMQ both then wait for one answer, for ever.
        "worker_enable_prefetch_count_reduction": False,
        "worker_send_task_events": True,
        "task_send_sent_event": False,
        "worker_hijack_root_logger": False,
        "worker_redirect_stdouts": False,
        "worker_enable_remote_control": True,
        "enable_utc": True,
    }


_REDIS_OPTIONS = {
    "visibility_timeout": VISIBILITY_TIMEOUT_S,
    "unacked_restore_interval": 5,
    "unacked_restore_throttle": 1,
    "max_connections": 50,
    "socket_timeout": 30,
    "socket_keepalive": True,
    "health_check_interval": 25,
}

app.add_defaults(_configuration)
