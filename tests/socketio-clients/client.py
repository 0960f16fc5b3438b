"""The same as scenario.mjs, as far as it goes, with PyPI's python-socketio, against the server at argv[1] over the transports of argv[2]
("polling", "websocket" or "upgrade"). Prints "ok", or what failed."""

import sys
import threading
import time

import socketio

SERVER, MODE = sys.argv[1:3]
TRANSPORTS = ["polling", "websocket"] if MODE == "upgrade" else [MODE]

client = socketio.Client(reconnection_delay=0.05, reconnection_delay_max=0.1, randomization_factor=0)
# By itself it handles each packet in a thread of its own, so that its handlers may run in another order than packets arrive.
trigger = client.eio._trigger_event
client.eio._trigger_event = lambda event, *values, **options: trigger(event, *values, **{**options, "run_async": False})
news = threading.Condition()
seen = []


def note(name, *values):
    with news:
        seen.append((name, *values))
        news.notify_all()


def see(*entry):
    """Waits for something, and takes it out, so that it can come again."""
    with news:
        assert news.wait_for(lambda: entry in seen, timeout=10), f"{entry} never came, but {seen}"
        seen.remove(entry)


for namespace in ("/", "/custom"):
    for name in ("auth", "message-back", "connect", "disconnect"):
        client.on(name, lambda *values, key=f"{namespace} {name}": note(key, *values), namespace=namespace)
client.on("question", lambda data: (len(data), bytes([data[0]])))


def connect():
    query = f"{SERVER}/?name=%C3%A9+{MODE}"
    client.connect(query, auth={"token": "t"}, namespaces=["/", "/custom"], transports=TRANSPORTS, wait_timeout=10)


connect()
see("/ auth", {"token": "t"})
see("/custom auth", {"token": "t"})
see("/ connect")
see("/custom connect")
assert client.transport() == ("polling" if MODE == "polling" else "websocket"), client.transport()

# Text and binary, both ways, with and without acknowledgements.
client.emit("message", (1, "é\U0001f600\x1e", {"a": [None, True]}))
see("/ message-back", 1, "é\U0001f600\x1e", {"a": [None, True]})
client.emit("message", (b"\x01\x02\x03", {"deep": [b""]}, "end"))
see("/ message-back", b"\x01\x02\x03", {"deep": [b""]}, "end")
assert client.call("message-with-ack", {"b": 2}, timeout=10) == {"b": 2}
assert client.call("message-with-ack", b"\x07", timeout=10) == b"\x07"
assert client.call("message-with-ack", "x", namespace="/custom", timeout=10) == "x"
large = b"\x05" * 300_000
assert client.call("message-with-ack", large, timeout=10) == large
client.emit("ask")

# Order.
for number in range(200):
    client.emit("message", number)
see("/ message-back", 199)
with news:
    assert seen == [("/ message-back", number) for number in range(199)], seen
    seen.clear()

# Pings go by without anyone noticing.
time.sleep(0.7)
assert client.connected

# Put out of a namespace by the server; the other one stays.
client.emit("leave", namespace="/custom")
see("/custom disconnect", client.reason.SERVER_DISCONNECT)
assert client.call("message-with-ack", 1, timeout=10) == 1

# A transport closed by the server is come back from.
first = client.get_sid()
client.emit("drop")
if MODE == "polling":
    # Here the end is a packet, which this client takes for the last word.
    see("/ disconnect", client.reason.SERVER_DISCONNECT)
    client.wait()
    connect()
see("/ connect")
assert client.get_sid() != first
assert client.call("message-with-ack", "again", timeout=10) == "again"

client.disconnect()
print("ok")
