//! The settings of S3: `FILES`, and the variables of AWS's tools.

use object_store::path::Path as Place;
use std::fmt;

/// The variables of AWS's tools that count, besides `FILES`.
pub(crate) const VARIABLES: &[&str] = &[
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
    "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT_URL_S3",
    "AWS_VIRTUAL_HOSTED_STYLE_REQUEST",
    "AWS_SERVER_SIDE_ENCRYPTION",
    "AWS_SSE_KMS_KEY_ID",
    "AWS_SSE_BUCKET_KEY_ENABLED",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_ROLE_ARN",
    "AWS_ROLE_SESSION_NAME",
    "AWS_ENDPOINT_URL_STS",
    "AWS_METADATA_ENDPOINT",
];

/// A bucket, and how it is reached.
#[derive(Clone, PartialEq, Eq)]
pub struct S3Settings {
    pub bucket: String,
    /// Before the keys of all objects; may be empty.
    pub prefix: String,
    /// The [`VARIABLES`] that are set.
    pub variables: Vec<(String, String)>,
}

impl fmt::Debug for S3Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.variables.iter().map(|(name, _)| &**name).collect();
        write!(f, "s3://{}/{} with {names:?}", self.bucket, self.prefix)
    }
}

impl S3Settings {
    /// From an address such as `s3://bucket/prefix`, and the variables.
    ///
    /// # Errors
    /// What was expected instead.
    pub fn read(url: &str, variable: impl Fn(&str) -> Option<String>) -> Result<Self, String> {
        let expected = || "s3://bucket or s3://bucket/prefix".to_owned();
        let rest = url.strip_prefix("s3://").ok_or_else(expected)?;
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let is_bucket = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        if bucket.is_empty() || !bucket.chars().all(is_bucket) {
            return Err(expected());
        }
        let prefix = prefix.trim_matches('/');
        if prefix.contains(['?', '#']) || Place::parse(prefix).is_err() {
            return Err(expected());
        }
        let variables = VARIABLES.iter().filter_map(|name| {
            let value = variable(name)?;
            (!value.trim().is_empty()).then(|| ((*name).to_owned(), value.trim().to_owned()))
        });
        Ok(Self {
            bucket: bucket.to_owned(),
            prefix: prefix.to_owned(),
            variables: variables.collect(),
        })
    }

    /// The region that requests are signed for.
    pub(super) fn region(&self) -> &str {
        self.variable("AWS_REGION")
            .or_else(|| self.variable("AWS_DEFAULT_REGION"))
            .unwrap_or("us-east-1")
    }

    /// The address of the bucket, as `object_store` has it.
    pub(super) fn bucket_address(&self) -> String {
        let is_host = self
            .variable("AWS_VIRTUAL_HOSTED_STYLE_REQUEST")
            .is_some_and(|value| {
                matches!(
                    value.to_ascii_lowercase().as_str(),
                    "true" | "1" | "yes" | "on" | "y" | "t"
                )
            });
        let (bucket, region) = (&self.bucket, self.region());
        match (self.endpoint(), is_host) {
            (Some(endpoint), true) => endpoint.trim_end_matches('/').to_owned(),
            (Some(endpoint), false) => format!("{}/{bucket}", endpoint.trim_end_matches('/')),
            (None, true) => format!("https://{bucket}.s3.{region}.amazonaws.com"),
            (None, false) => format!("https://s3.{region}.amazonaws.com/{bucket}"),
        }
    }

    fn variable(&self, name: &str) -> Option<&str> {
        let found = self.variables.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| &**value)
    }

    /// Where S3 is.
    #[must_use]
    pub fn endpoint(&self) -> Option<&str> {
        self.variable("AWS_ENDPOINT_URL_S3")
            .or_else(|| self.variable("AWS_ENDPOINT_URL"))
    }

    /// Missing or invalid settings.
    #[must_use]
    pub(super) fn problem(&self) -> Option<String> {
        let key = self.variable("AWS_ACCESS_KEY_ID").is_some();
        let secret = self.variable("AWS_SECRET_ACCESS_KEY").is_some();
        let region = self
            .variable("AWS_REGION")
            .or_else(|| self.variable("AWS_DEFAULT_REGION"));
        if key != secret {
            let (set, missing) = match key {
                true => ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"),
                false => ("AWS_SECRET_ACCESS_KEY", "AWS_ACCESS_KEY_ID"),
            };
            return Some(format!(
                "{set} is set and {missing} is not; set both, or neither where the machine has a role."
            ));
        }
        if region.is_none() && self.endpoint().is_none() {
            return Some("FILES is in S3, and neither AWS_REGION nor AWS_ENDPOINT_URL is set: set the region of the bucket, or the address of your own S3.".to_owned());
        }
        if let Some(endpoint) = self.endpoint()
            && !endpoint.starts_with("http://")
            && !endpoint.starts_with("https://")
        {
            return Some(format!(
                "AWS_ENDPOINT_URL is {endpoint:?}; expected an address such as https://s3.example or http://127.0.0.1:9000."
            ));
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(url: &str, variables: &[(&str, &str)]) -> Result<S3Settings, String> {
        S3Settings::read(url, |name| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn an_address_has_a_bucket_and_may_have_a_prefix() {
        let plain = read("s3://files", &[]).unwrap();
        assert_eq!((&*plain.bucket, &*plain.prefix), ("files", ""));
        let deep = read("s3://files/a/b/", &[]).unwrap();
        assert_eq!((&*deep.bucket, &*deep.prefix), ("files", "a/b"));
        for wrong in [
            "s3://",
            "s3:///a",
            "s3:/files",
            "s3://a b",
            "s3://files/a?b",
            "s3://files/a//b",
        ] {
            assert!(read(wrong, &[]).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_variables_locate_the_bucket() {
        let address =
            |variables: &[(&str, &str)]| read("s3://files/p", variables).unwrap().bucket_address();
        assert_eq!(
            address(&[("AWS_REGION", "eu-1")]),
            "https://s3.eu-1.amazonaws.com/files"
        );
        let host = ("AWS_VIRTUAL_HOSTED_STYLE_REQUEST", "true");
        assert_eq!(
            address(&[("AWS_REGION", "eu-1"), host]),
            "https://files.s3.eu-1.amazonaws.com"
        );
        let own = ("AWS_ENDPOINT_URL", "http://127.0.0.1:9000/");
        assert_eq!(address(&[own]), "http://127.0.0.1:9000/files");
        let first = ("AWS_ENDPOINT_URL_S3", "https://files.s3.example");
        assert_eq!(address(&[own, first, host]), "https://files.s3.example");
    }

    #[test]
    fn secrets_are_not_shown() {
        let set = [
            ("AWS_ACCESS_KEY_ID", "key1"),
            ("AWS_SECRET_ACCESS_KEY", "secret1"),
        ];
        let settings = read("s3://files", &set).unwrap();
        let shown = format!("{settings:?}");
        assert!(shown.contains("AWS_SECRET_ACCESS_KEY"), "{shown}");
        assert!(
            !shown.contains("secret1") && !shown.contains("key1"),
            "{shown}"
        );
    }

    #[test]
    fn incomplete_s3_settings_are_errors() {
        let problem = |variables: &[(&str, &str)]| read("s3://files", variables).unwrap().problem();
        let region = ("AWS_REGION", "eu-1");
        assert_eq!(problem(&[region]), None);
        assert!(problem(&[]).unwrap().contains("AWS_REGION"));
        let half = problem(&[region, ("AWS_ACCESS_KEY_ID", "k")]).unwrap();
        assert!(half.contains("AWS_SECRET_ACCESS_KEY is not"), "{half}");
        let address = problem(&[("AWS_ENDPOINT_URL", "minio:9000")]).unwrap();
        assert!(address.contains("expected an address"), "{address}");
    }
}
