"""Celery's configuration, derived from `jobs.settings`. Celery carries messages; the ledger holds the truth."""

from kombu import Exchange, Queue

from jobs.broker import QUEUES, SEPARATOR, STEPS
from jobs.connect import Address
from jobs.settings import settings

_broker = Address.parse(settings().redis_url).for_celery()
broker_url = _broker["broker_url"]
broker_use_ssl = _broker["broker_use_ssl"]
broker_connection_retry_on_startup = True
broker_transport_options = {
    "priority_steps": list(STEPS),  # 0 is the most urgent
    "sep": SEPARATOR,
    "queue_order_strategy": "priority",
    # The ledger recovers what a dead worker held, within a lease. Redelivery by the broker would only restart running
    # jobs, so it is put off to beyond the longest job; the claim drops what it brings then.
    "visibility_timeout": 30 * 24 * 3600,
    # A worker killed while restoring would block the others for 300 s.
    "unacked_mutex_expire": 10,
    # A send that fails is made up for by the sweeper; six seconds of tries (the default) would only hold up a request.
    "max_retries": 1,
    "interval_start": 0.2,
    "interval_step": 0,
    "socket_keepalive": True,
    "health_check_interval": 15,
    **_broker["options"],
}

task_queues = [Queue(name, Exchange(name), routing_key=name) for name in QUEUES]
task_default_queue = "cpu"
task_create_missing_queues = False
task_serializer = "json"
accept_content = ["json"]
task_ignore_result = True
task_store_errors_even_if_ignored = False

task_acks_late = True
worker_prefetch_multiplier = 1
task_track_started = True
task_send_sent_event = True
worker_send_task_events = True

worker_hijack_root_logger = False
worker_redirect_stdouts = False
timezone = "UTC"
enable_utc = True
