//! What a client that recovers its socket has to remember.

use serde_json::Value;

/// What a client stores about its socket.
#[derive(Clone, Debug, PartialEq)]
pub struct Memory {
    pub sid: String,
    pub pid: String,
    pub offset: Option<String>,
}

impl Memory {
    pub fn of(connected: &str) -> Self {
        let answer: Value =
            serde_json::from_str(&connected[connected.find('{').unwrap()..]).unwrap();
        let text = |name: &str| {
            answer[name]
                .as_str()
                .unwrap_or_else(|| panic!("no {name} in {answer}"))
                .to_owned()
        };
        Self {
            sid: text("sid"),
            pid: text("pid"),
            offset: None,
        }
    }

    pub fn auth(&self) -> String {
        serde_json::json!({ "pid": self.pid, "offset": self.offset }).to_string()
    }

    /// Handles an event, and returns it without its offset.
    pub fn receive_event(&mut self, text: &str) -> String {
        let mut event: Vec<Value> = serde_json::from_str(&text[text.find('[').unwrap()..]).unwrap();
        self.offset = Some(event.pop().unwrap().as_str().expect("an offset").to_owned());
        serde_json::to_string(&event).unwrap()
    }
}
