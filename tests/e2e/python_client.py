"""A page's work with PyPI's python-socketio, over one transport: join, send with an acknowledgement, receive.

Called with the server's address, "polling" or "websocket", and a conversation of the users 42 and 57.
"""

import sys
import threading

import socketio

SERVER, TRANSPORT, CONVERSATION = sys.argv[1:4]


class Person:
    def __init__(self, user_id):
        self.user_id = user_id
        self.online = set()
        self.messages = []
        self.news = threading.Condition()
        self.client = socketio.Client(reconnection=False)
        self.client.on("online_users", self.on_list)
        self.client.on("user_online", self.on_online)
        self.client.on("new_private_message", self.on_message)
        self.client.connect(SERVER, socketio_path="/api/socketio", transports=[TRANSPORT], wait_timeout=10)
        assert self.client.transport() == TRANSPORT, self.client.transport()
        joined = self.client.call("join_user", user_id, timeout=10)
        assert joined["success"] is True, joined
        assert joined["sessionId"] == self.client.get_sid(), joined

    def on_list(self, data):
        with self.news:
            self.online = {user["userId"] for user in data["users"]}
            self.news.notify_all()

    def on_online(self, data):
        with self.news:
            self.online.add(data["userId"])
            self.news.notify_all()

    def on_message(self, data):
        with self.news:
            self.messages.append(data)
            self.news.notify_all()

    def see(self, what, holds):
        with self.news:
            assert self.news.wait_for(lambda: holds(self), timeout=10), f"{self.user_id} did not see {what}"

    def send(self, content):
        message = {"conversationId": int(CONVERSATION), "content": content, "tempId": f"temp-{content[:9]}"}
        return self.client.call("send_private_message", message, timeout=10)


asha = Person(42)
ben = Person(57)
asha.see("Ben come", lambda me: "57" in me.online)
ben.see("both", lambda me: me.online >= {"42", "57"})
asha.client.emit("user_activity")

TEXTS = ["one é 😀", "two", "three"]
for text in TEXTS:
    sent = asha.send(text)
    assert sent["success"] is True and sent["message"]["senderId"] == "42", sent
    assert sent["tempId"] == f"temp-{text}", sent
ben.see("three messages", lambda me: len(me.messages) == 3)
assert [message["content"] for message in ben.messages] == TEXTS, ben.messages
assert [message["seq"] for message in ben.messages] == sorted(message["seq"] for message in ben.messages)
assert asha.messages == [], "a socket gets its own messages"

answered = ben.send("four")
asha.see("the answer", lambda me: [message["id"] for message in me.messages] == [answered["message"]["id"]])

# A long one, which polling carries in a payload of its own.
ben.send("x" * 8000)
asha.see("a long one", lambda me: len(me.messages) == 2 and me.messages[1]["content"] == "x" * 8000)
refused = ben.send("   ")
assert refused["code"] == "empty_message", refused

asha.client.disconnect()
ben.client.disconnect()
print("ok")
