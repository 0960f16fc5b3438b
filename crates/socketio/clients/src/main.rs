//! Tests the crate `rust_socketio` against the server in the first argument, over the transports in
//! the second ("polling", "websocket" or "upgrade"). Prints "ok", or panics with the failure.
#![allow(clippy::unwrap_used)]

use std::{
    sync::mpsc::{Receiver, Sender, channel},
    time::Duration,
};

use rust_socketio::{ClientBuilder, Event, Payload, RawClient, TransportType, client::Client};
use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_secs(10);

/// A payload in a form that can be compared.
fn plain(payload: Payload) -> Value {
    match payload {
        Payload::Text(values) => Value::Array(values),
        Payload::Binary(bytes) => json!({ "bytes": bytes.to_vec() }),
        #[allow(deprecated)]
        Payload::String(text) => Value::String(text),
    }
}

fn note(
    news: &Sender<(String, Value)>,
    name: &'static str,
) -> impl FnMut(Payload, RawClient) + Send + 'static + use<> {
    let news = news.clone();
    move |payload, _| {
        let _ = news.send((name.to_owned(), plain(payload)));
    }
}

fn see(news: &Receiver<(String, Value)>, name: &str) -> Value {
    loop {
        let (seen, value) = news
            .recv_timeout(PATIENCE)
            .unwrap_or_else(|_| panic!("the event {name} did not arrive"));
        if seen == name {
            return value;
        }
    }
}

fn ask(client: &Client, payload: impl Into<Payload>) -> Value {
    let (answered, answer) = channel();
    let answered = move |payload: Payload, _: RawClient| {
        let _ = answered.send(plain(payload));
    };
    client
        .emit_with_ack("message-with-ack", payload, PATIENCE, answered)
        .unwrap();
    answer
        .recv_timeout(PATIENCE)
        .expect("the server acknowledges")
}

fn main() {
    let [_, url, mode] = <[String; 3]>::try_from(std::env::args().collect::<Vec<_>>()).unwrap();
    let transport = || match &*mode {
        "polling" => TransportType::Polling,
        "websocket" => TransportType::Websocket,
        _ => TransportType::WebsocketUpgrade,
    };
    let connect = |namespace: &str| {
        let (sender, news) = channel();
        let client = ClientBuilder::new(format!("{url}/?name=%C3%A9+{mode}"))
            .namespace(namespace)
            .auth(json!({ "token": "t" }))
            .transport_type(transport())
            .reconnect_delay(20, 50)
            .reconnect_on_disconnect(true)
            .on(Event::Connect, note(&sender, "connect"))
            .on(Event::Close, note(&sender, "close"))
            .on("auth", note(&sender, "auth"))
            .on("message-back", note(&sender, "message-back"))
            .connect()
            .unwrap();
        assert_eq!(see(&news, "auth"), json!([{ "token": "t" }]));
        (client, news)
    };
    let (client, news) = connect("/");

    // Text and binary, in both directions, with and without acknowledgements.
    client
        .emit("message", json!({ "é\u{1F600}\u{1e}": [null, true] }))
        .unwrap();
    assert_eq!(
        see(&news, "message-back"),
        json!([{ "é\u{1F600}\u{1e}": [null, true] }])
    );
    client.emit("message", vec![1u8, 2, 3]).unwrap();
    assert_eq!(see(&news, "message-back"), json!({ "bytes": [1, 2, 3] }));
    assert_eq!(ask(&client, json!({ "b": 2 })), json!([[{ "b": 2 }]]));

    // Order.
    for number in 0..200 {
        client.emit("message", json!(number)).unwrap();
    }
    for number in 0..200 {
        assert_eq!(see(&news, "message-back"), json!([number]));
    }

    // PINGs do not disturb the client.
    std::thread::sleep(Duration::from_millis(700));
    assert_eq!(ask(&client, json!(1)), json!([[1]]));

    let (custom, custom_news) = connect("/custom");
    custom.emit("message", json!("x")).unwrap();
    assert_eq!(see(&custom_news, "message-back"), json!(["x"]));
    custom.disconnect().unwrap();

    // The client reconnects after the server closes the transport. (On polling the close is a
    // packet, after which this client does not reconnect.)
    client.emit("drop", json!(0)).unwrap();
    if mode == "polling" {
        drop(client);
        let (again, _news) = connect("/");
        again.disconnect().unwrap();
    } else {
        assert_eq!(see(&news, "auth"), json!([{ "token": "t" }]));
        client.disconnect().unwrap();
    }
    println!("ok");
}
