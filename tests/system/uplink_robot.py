"""A process with a store and an uplink, to be killed: appends events up to a number, sends them, and ends when all are confirmed.

python uplink_robot.py DATABASE PORT TOTAL
"""

from __future__ import annotations

import asyncio
import random
import sys
import uuid
from pathlib import Path

from robot import event_data
from robot.backoff import Backoff
from robot.config import UplinkSettings
from robot.events import EventFactory
from robot.store import Store
from robot.uplink import Status, Uplink


async def main(path: Path, port: int, total: int) -> None:
    with Store(path, outbox=True) as store:
        make = EventFactory("robot-1", "square", store.last_seq() + 1, lambda: uuid.uuid4().hex).make
        uplink = Uplink(
            UplinkSettings(broker=f"mqtt://127.0.0.1:{port}", hold_s=1.0),
            "station",
            "robot-1",
            path,
            get_status=lambda: Status(online=True, robot="robot-1", site="station", screening="available"),
            on_confirmed=store.outbox_done,
            backoff=Backoff(0.05, 0.2, 0.5, random.Random()),
        )
        task = asyncio.create_task(uplink.run())
        while store.last_seq() < total or store.outbox_pending(1):
            if store.last_seq() < total:
                store.append(make(event_data.SystemStoppingData(reason="busy"), t_unix_ns=0, t_mono_ns=0))
                uplink.wake()
            await asyncio.sleep(0.001)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])))
