"""Engineers watch live: a client of Foxglove's protocol hears what goes into the recording, from this computer alone."""

from __future__ import annotations

import contextlib
import json
import socket
import struct
import time
from pathlib import Path

import pytest
from taped_station import Station
from websockets.sync.client import connect
from websockets.typing import Subprotocol

from robot.events import Event
from robot.record_schema import readable_schema
from robot.tape import Acted

LAYOUT = Path(__file__).parents[2] / "docs" / "foxglove-layout.json"
MESSAGE_DATA = 1
LISTENING = "0A"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


@pytest.mark.parametrize("mode", ["off", "continuous"])
def test_a_client_hears_the_events_live(tmp_path: Path, mode: str) -> None:
    port = free_port()
    station = Station(tmp_path / "station", mode=mode, live_port=port)
    heard: list[dict[str, object]] = []
    with connect(f"ws://127.0.0.1:{port}", subprotocols=[Subprotocol("foxglove.sdk.v1")], max_size=None) as client:
        assert json.loads(client.recv(5))["op"] == "serverInfo"

        def subscribe() -> None:
            while True:
                said = json.loads(client.recv(5))
                for channel in said.get("channels", ()):
                    if channel["topic"] == "/patrol/events":
                        wanted = {"op": "subscribe", "subscriptions": [{"id": 7, "channelId": channel["id"]}]}
                        client.send(json.dumps(wanted))
                        return

        def watch() -> None:
            subscribe()
            end_s = time.monotonic() + 5.0
            while not heard and time.monotonic() < end_s:
                # What was said before the client had asked is not repeated; it asks while the robot goes on.
                station.recorder.tell(Acted(1, 2, 3, 4, 5), [b'{"seq":1}'])
                with contextlib.suppress(TimeoutError):
                    while isinstance(message := client.recv(0.1), str):
                        pass
                    assert message[0] == MESSAGE_DATA and struct.unpack_from("<I", message, 1)[0] == 7
                    heard.append(json.loads(message[13:]))

        station.run(60, then=watch)
    assert heard == [{"seq": 1}]
    assert bool(station.files) == (mode == "continuous")


def test_it_listens_on_loopback_alone(tmp_path: Path) -> None:
    port = free_port()
    station = Station(tmp_path / "station", mode="off", live_port=port)
    rows = [line.split() for line in Path("/proc/net/tcp").read_text("ascii").splitlines()[1:]]
    rows += [line.split() for line in Path("/proc/net/tcp6").read_text("ascii").splitlines()[1:]]
    where = {row[1].split(":")[0] for row in rows if row[3] == LISTENING and int(row[1].split(":")[1], 16) == port}
    station.run(1)
    assert where == {"0100007F"}, "somebody else could watch faces"


def test_the_layout_asks_for_topics_that_there_are(tmp_path: Path) -> None:
    station = Station(tmp_path / "station")
    station.run(3)
    from mcap.reader import make_reader

    with station.files[0].open("rb") as stream:
        summary = make_reader(stream).get_summary()
    assert summary is not None
    written = {channel.topic for channel in summary.channels.values()} | {"/patrol/state"}
    described = {one.topic: summary.schemas[one.schema_id] for one in summary.channels.values() if one.schema_id}
    assert json.loads(described["/patrol/events"].data) == readable_schema(Event, "patrol.Event"), (
        "viewers leave it out"
    )
    asked: set[str] = set()
    for panel in json.loads(LAYOUT.read_text("utf-8"))["configById"].values():
        asked |= {panel[key] for key in ("topicPath",) if key in panel}
        asked |= {panel["imageMode"]["imageTopic"]} if "imageMode" in panel else set()
        asked |= {path["value"].split(".")[0] for path in panel.get("paths", ()) if path["value"].startswith("/")}
    cameras = {f"/camera/{name}" for name in ("front", "left", "right", "rear_left", "rear_right")}
    assert asked <= written | cameras and asked >= {"/thermal/raw", "/thermal/corrected", "/patrol/events"}
