"""PyPI's python-socketio, left to itself: says when it is in, and when it is in again.

Called with the server's address and "polling" or "websocket". Ends by itself after the second time, or after 30 seconds.
"""

import sys
import threading

import socketio

SERVER, TRANSPORT = sys.argv[1:3]
client = socketio.Client(reconnection_delay=0.1, reconnection_delay_max=0.2)
again = threading.Event()
times = 0


@client.on("connect")
def join():
    global times
    times += 1
    client.emit("join_user", "42", callback=lambda answer: print(f"in {times}" if answer["success"] else answer, flush=True))
    if times == 2:
        again.set()


client.connect(SERVER, socketio_path="/api/socketio", transports=[TRANSPORT], wait_timeout=10)
if not again.wait(30):
    sys.exit("it did not come back")
client.sleep(0.5)
client.disconnect()
