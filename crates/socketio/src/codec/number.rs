//! Numbers as text in JavaScript. The reference parser accepts a number as an event's name, and
//! Node's event emitter converts it to text.

/// Returns what `String(JSON.parse(json))` gives in JavaScript (ECMA-262, Number::toString), or
/// `None` if the text is not a number.
pub fn to_text(json: &str) -> Option<String> {
    let number: f64 = json.parse().ok()?;
    if number == 0.0 {
        return Some("0".to_owned());
    }
    let sign = if number < 0.0 { "-" } else { "" };
    if number.is_infinite() {
        return Some(format!("{sign}Infinity"));
    }
    // Rust and JavaScript agree on the shortest digits that parse to the same number.
    let scientific = format!("{:e}", number.abs());
    let (digits, exponent) = scientific.split_once('e')?;
    let digits = digits.replace('.', "");
    let point = exponent.parse::<isize>().ok()? + 1;
    let count = digits.len() as isize;
    let text = match point {
        22.. | ..=-6 => {
            let (first, rest) = digits.split_at(1);
            let dot = if rest.is_empty() { "" } else { "." };
            format!("{first}{dot}{rest}e{:+}", point - 1)
        }
        ..=0 => format!("0.{}{digits}", "0".repeat(point.unsigned_abs())),
        _ if point >= count => format!("{digits}{}", "0".repeat((point - count).unsigned_abs())),
        _ => {
            let (whole, fraction) = digits.split_at(point.unsigned_abs());
            format!("{whole}.{fraction}")
        }
    };
    Some(format!("{sign}{text}"))
}

#[cfg(test)]
mod tests {
    use super::to_text;

    #[test]
    fn writes_numbers_as_javascript_does() {
        for (json, text) in [
            ("0", "0"),
            ("-0", "0"),
            ("1e-400", "0"),
            ("1", "1"),
            ("-17", "-17"),
            ("42.0", "42"),
            ("4.2e1", "42"),
            ("3.25", "3.25"),
            ("-1.5e+2", "-150"),
            ("1e3", "1000"),
            ("0.1", "0.1"),
            ("0.000001", "0.000001"),
            ("1E-7", "1e-7"),
            ("-1.25e-9", "-1.25e-9"),
            ("9007199254740993", "9007199254740992"),
            ("100000000000000000000", "100000000000000000000"),
            ("123456789012345680000", "123456789012345680000"),
            ("1e21", "1e+21"),
            ("1.5e300", "1.5e+300"),
            ("1e400", "Infinity"),
            ("-1e400", "-Infinity"),
        ] {
            assert_eq!(to_text(json).as_deref(), Some(text), "{json}");
        }
        assert_eq!(to_text("x"), None);
    }
}
