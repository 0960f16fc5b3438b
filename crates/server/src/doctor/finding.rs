//! The doctor's findings, as text and as JSON.

use serde::Serialize;
use std::fmt::Write;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// As it should be.
    Ok,
    /// Worth knowing.
    Note,
    /// Works, but asks for trouble.
    Warn,
    /// Does not work.
    Fail,
}

/// One check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The subject of the check.
    pub check: &'static str,
    /// How bad it is.
    pub level: Level,
    /// `LL-` and a number, where there is a story for it.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub code: &'static str,
    /// The observed state.
    pub seen: String,
    /// The expected state; empty if it equals the observed state.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub expected: String,
    /// The fix, in one step.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub fix: String,
}

impl Finding {
    fn new(
        check: &'static str,
        level: Level,
        code: &'static str,
        seen: &str,
        expected: &str,
        fix: &str,
    ) -> Self {
        Self {
            check,
            level,
            code,
            seen: seen.to_owned(),
            expected: expected.to_owned(),
            fix: fix.to_owned(),
        }
    }

    pub(super) fn good(check: &'static str, seen: &str) -> Self {
        Self::new(check, Level::Ok, "", seen, "", "")
    }

    pub(super) fn note(check: &'static str, seen: &str) -> Self {
        Self::new(check, Level::Note, "", seen, "", "")
    }

    pub(super) fn warn(
        check: &'static str,
        code: &'static str,
        seen: &str,
        expected: &str,
        fix: &str,
    ) -> Self {
        Self::new(check, Level::Warn, code, seen, expected, fix)
    }

    pub(super) fn fail(
        check: &'static str,
        code: &'static str,
        seen: &str,
        expected: &str,
        fix: &str,
    ) -> Self {
        Self::new(check, Level::Fail, code, seen, expected, fix)
    }
}

/// Everything that was found, in the order in which it was looked at.
#[derive(Debug, Default)]
pub(super) struct Report {
    pub(super) findings: Vec<Finding>,
}

#[derive(Serialize)]
struct Json<'a> {
    success: bool,
    findings: &'a [Finding],
}

impl Report {
    pub(super) fn add(&mut self, finding: Finding) {
        self.findings.push(finding);
    }

    /// Nothing failed.
    pub(super) fn is_healthy(&self) -> bool {
        self.findings
            .iter()
            .all(|finding| finding.level != Level::Fail)
    }

    pub(super) fn json(&self) -> String {
        serde_json::to_string_pretty(&Json {
            success: self.is_healthy(),
            findings: &self.findings,
        })
        .unwrap_or_default()
    }

    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        for finding in &self.findings {
            let level = match finding.level {
                Level::Ok => "ok  ",
                Level::Note => "note",
                Level::Warn => "WARN",
                Level::Fail => "FAIL",
            };
            let is_said = finding.code.is_empty() || finding.seen.contains(finding.code);
            let code = if is_said {
                String::new()
            } else {
                format!("{} ", finding.code)
            };
            // Writing to a text cannot fail.
            let _ = writeln!(
                text,
                "{level}  {:<10} {code}{}",
                finding.check, finding.seen
            );
            for (label, words) in [("expected", &finding.expected), ("fix", &finding.fix)] {
                for (index, line) in words.lines().enumerate() {
                    let label = if index == 0 { label } else { "" };
                    let _ = writeln!(text, "      {:<10} {label:<9}{line}", "");
                }
            }
        }
        let count = |level| {
            self.findings
                .iter()
                .filter(|finding| finding.level == level)
                .count()
        };
        let _ = write!(
            text,
            "{}",
            match (count(Level::Fail), count(Level::Warn)) {
                (0, 0) => "Nothing is wrong.".to_owned(),
                (0, 1) => "Nothing fails; there is 1 warning.".to_owned(),
                (0, warnings) => format!("Nothing fails; there are {warnings} warnings."),
                (failures, warnings) => {
                    let wrong = if failures == 1 {
                        "One thing is wrong".to_owned()
                    } else {
                        format!("{failures} things are wrong")
                    };
                    match warnings {
                        0 => format!("{wrong}."),
                        1 => format!("{wrong}, and there is 1 warning."),
                        _ => format!("{wrong}, and there are {warnings} warnings."),
                    }
                }
            }
        );
        text
    }
}
