"""Celery as the carrier of messages that name tasks: sending them, and receiving them in a worker of Celery's own.

- A message holds two ids, no more: losing one, doubling one or forging one changes nothing but the time of a look.
- Received messages are acknowledged when `on_named` has answered, in milliseconds, and not when the work is done: no
  visibility time-out of a broker is shorter than that, and a task may take as long as it likes.
- Celery runs in a thread beside the event loop of the process, in the pool `threads`: what its threads do is ask that loop
  and wait for the answer. Processes of the pool `prefork` could not reach the loop, and `solo` would ask one at a time.
- All keys in Redis carry the queue's name in front, so that the time-outs of other applications of the same Redis are theirs.

Celery keeps whether it shall stop in a variable of the process: one receiver a process.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

from celery import Celery
from celery.exceptions import Reject
from celery.worker import WorkController
from celery.worker import state as celery_state
from celery.worker.request import Request
from kombu import Connection, Exchange, Queue
from kombu.exceptions import KombuError

from aos.kernel.errors import Unavailable

TASK_NAME: Final = "aos.task"
OFFERS_AT_ONCE: Final = 16
"""Messages that one process asks its loop about at once: so many are claimed by one statement."""
SOCKET_SECONDS: Final = 5
RECONNECT_SECONDS: Final = 2
"""Longest pause between two tries to reach a broker that is away; Celery's own grows to half a minute."""
AGAIN_SECONDS: Final = 1.0
"""Pause before a receiver that ended by itself is started again."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class CelerySettings:
    """Where the messages go. `visibility_seconds` is Redis's alone: how long a message may stay unacknowledged."""

    broker: str = field(repr=False)
    queue: str
    visibility_seconds: int


_SILENT: Final = ("celery.app.trace", "celery.worker.request", "celery.worker.strategy")
"""Celery's word on each message and each acknowledgement: a message means nothing, and the worker says what matters."""


class PatientConnection(Connection):  # type: ignore[misc]  # Kombu says nothing of its types
    """A connection of the receiver: tries again every few seconds for as long as it takes, and says so once."""

    def ensure_connection(self, errback: Any = None, max_retries: Any = None, **options: Any) -> Any:
        """Return itself once it is connected."""
        said = False

        def say(error: Exception, interval: float) -> None:
            nonlocal said
            if not said:
                _log.warning("no messages come, for the broker cannot be reached (%s)", type(error).__name__)
            said = True

        options = {**options, "interval_max": RECONNECT_SECONDS}
        found = super().ensure_connection(say if errback is not None else None, max_retries, **options)
        if said:
            _log.info("the broker is reached again")
        return found


class HonestRequest(Request):  # type: ignore[misc]  # Celery says nothing of its types
    """A message of Redis whose acknowledgement, where it fails, ends the connection.

    Celery logs such a failure and goes on, with the message counted as in hand for ever: after as many as it takes in
    advance the worker would receive nothing more. A new connection counts anew.

    RabbitMQ itself counts what is in hand, by connection, and gives it to others when one ends. There an acknowledgement
    fails for its connection is gone already; to end the next one for it would go on for ever, message by message.
    """

    def __init__(self, *arguments: Any, connection_errors: Any = None, **options: Any) -> None:
        super().__init__(*arguments, connection_errors=(), **options)


def celery_app(settings: CelerySettings) -> Any:
    """Return the application of Celery; it stores no results and takes no orders from the broker."""
    app = Celery("aos", broker=settings.broker, set_as_current=False, fixups=())
    app.amqp.Connection = PatientConnection
    exchange = Exchange(settings.queue, type="direct")
    app.conf.update(
        accept_content=["json"],
        task_serializer="json",
        task_ignore_result=True,
        task_default_queue=settings.queue,
        task_queues=[Queue(settings.queue, exchange, routing_key=settings.queue)],
        task_default_delivery_mode="transient",
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
        worker_enable_remote_control=False,
        worker_prefetch_multiplier=1,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        worker_enable_prefetch_count_reduction=False,  # its threads would read from a connection that is the loop's alone
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_connection_timeout=SOCKET_SECONDS,
    )
    if _is_redis(settings):
        app.conf.broker_transport_options = {
            "visibility_timeout": settings.visibility_seconds,
            "global_keyprefix": f"{settings.queue}:",
            "socket_timeout": SOCKET_SECONDS,
            "socket_connect_timeout": SOCKET_SECONDS,
        }
    return app


def _is_redis(settings: CelerySettings) -> bool:
    return settings.broker.startswith(("redis", "unix", "sentinel"))


class CeleryMessages:
    """Sends messages, each call in a thread; one call at a time."""

    def __init__(self, settings: CelerySettings) -> None:
        self._app = celery_app(settings)
        self._queue = settings.queue
        self._connection: Any = None

    async def send(self, named: Sequence[tuple[UUID, UUID]]) -> None:
        """Send one message for each organization and task. Raises Unavailable; some may have been sent then."""
        if named:
            await asyncio.to_thread(self._with_channel, lambda channel: self._send(channel, named))

    async def waiting(self) -> int:
        """Return how many messages nobody has received yet. Raises Unavailable."""
        return int(await asyncio.to_thread(self._with_channel, self._count))

    def _with_channel(self, work: Callable[[Any], Any]) -> Any:
        """Do something on the connection, opened where there is none; one that failed is closed."""
        connection = self._connection or self._app.connection_for_write()
        self._connection = connection
        try:
            connection.ensure_connection(max_retries=1, interval_start=0, timeout=SOCKET_SECONDS)
            return work(connection.default_channel)
        except (*connection.connection_errors, *connection.channel_errors, KombuError, OSError) as error:
            self._connection = None
            connection.collect()
            raise Unavailable(f"the broker cannot be reached ({type(error).__name__})") from error

    def _count(self, channel: Any) -> int:
        return int(channel.queue_declare(queue=self._queue, durable=True, auto_delete=False).message_count)

    def _send(self, channel: Any, named: Sequence[tuple[UUID, UUID]]) -> None:
        producer = self._app.amqp.Producer(channel)
        for organization_id, task_id in named:
            self._app.send_task(
                TASK_NAME, args=(str(organization_id), str(task_id)), queue=self._queue, producer=producer, retry=False
            )


class CeleryReceiver:
    """A worker of Celery in a thread: asks `on_named` about each message, and puts back those that it has no room for."""

    def __init__(self, settings: CelerySettings, on_named: Callable[[UUID, UUID], bool]) -> None:
        """`on_named` is called from threads; it says whether the message is done with."""
        self._app = celery_app(settings)
        self._on_named = on_named
        self._stopping = threading.Event()
        self._controller: Any = None
        self._thread = threading.Thread(target=self._run, name="celery", daemon=True)
        request = HonestRequest if _is_redis(settings) else Request
        self._app.task(name=TASK_NAME, acks_late=True, ignore_result=True, Request=request)(self._receive)

    def start(self) -> None:
        """Begin to receive; a broker that is away is waited for."""
        celery_state.should_stop = None
        for name in _SILENT:
            logging.getLogger(name).setLevel(logging.CRITICAL + 1)
        self._thread.start()

    async def stop(self, timeout_seconds: float) -> None:
        """Receive nothing more; what is not acknowledged by then goes back to the broker."""
        self._stopping.set()
        celery_state.should_stop = 0
        hub = getattr(self._controller, "hub", None)
        if hub is not None:
            hub.call_soon(_nothing)
        await asyncio.to_thread(self._thread.join, timeout_seconds)
        if self._thread.is_alive():
            _log.warning("the receiver of messages does not end; it ends with the process")

    def _receive(self, organization_id: str, task_id: str) -> None:
        try:
            named = UUID(organization_id), UUID(task_id)
        except (ValueError, AttributeError, TypeError):
            _log.warning("a message that names no task was thrown away")
            return
        try:
            done_with = self._on_named(*named)
        except Exception:  # the message is worth less than the thread: the task is named again
            _log.exception("a message could not be answered")
            return
        if not done_with:
            raise Reject("no room", requeue=True)

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._controller = WorkController(
                    app=self._app,
                    pool_cls="threads",
                    concurrency=OFFERS_AT_ONCE,
                    without_gossip=True,
                    without_mingle=True,
                    without_heartbeat=True,
                )
                self._controller.start()
            except (Exception, SystemExit):  # whatever ends it, messages must be received again
                _log.exception("the receiver of messages failed")
            if not self._stopping.wait(AGAIN_SECONDS):
                _log.warning("the receiver of messages ended and is started again")


def _nothing() -> None:
    """Wake the loop of Celery, which then looks whether it shall stop."""
