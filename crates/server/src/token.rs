//! `lamplight token`: mints tokens like those of the host application, for trials of `AUTH=jwt`.

use crate::config::{Flags, JwtSettings, MIN_JWT_SECRET_BYTES, values};
use clap::Args;
use jsonwebtoken::{EncodingKey, Header};
use lamplight_domain::identity::{UserId, parse_avatar_url, parse_name};
use lamplight_domain::time::Timestamp;
use serde::Serialize;
use std::process::ExitCode;
use std::time::Duration;

#[derive(Args, Clone)]
pub struct Options {
    /// The user's id
    #[arg(long)]
    sub: String,
    /// The display name
    #[arg(long)]
    name: Option<String>,
    /// The URL of a picture
    #[arg(long)]
    picture: Option<String>,
    /// The token's lifetime
    #[arg(long, value_name = "DURATION", default_value = "5m", value_parser = values::lasting)]
    expires_in: Duration,
    /// The secret shared with the server, at least 32 bytes [env: JWT_SECRET]
    #[arg(long, visible_alias = "jwt-secret")]
    secret: Option<String>,
    /// The token's `aud` [env: JWT_AUDIENCE]
    #[arg(long, visible_alias = "jwt-audience")]
    audience: Option<String>,
    /// The token's `iss` [env: JWT_ISSUER]
    #[arg(long, visible_alias = "jwt-issuer")]
    issuer: Option<String>,
}

#[derive(Serialize)]
struct Claims<'a> {
    sub: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    picture: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    iss: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    aud: Option<&'a str>,
    iat: i64,
    exp: i64,
}

/// Prints only the token on standard output, and errors on standard error.
pub fn run(options: &Options) -> ExitCode {
    let given = [
        ("jwt-secret", &options.secret),
        ("jwt-audience", &options.audience),
        ("jwt-issuer", &options.issuer),
    ];
    let flags = Flags::of(
        given
            .into_iter()
            .filter_map(|(key, value)| Some((key, value.as_deref()?))),
    );
    let minted = JwtSettings::load(&flags)
        .map_err(|error| error.to_string())
        .and_then(|settings| mint(options, &settings, crate::system::wall()));
    match minted {
        Ok(token) => {
            println!("{token}");
            ExitCode::SUCCESS
        }
        Err(sentence) => {
            eprintln!("lamplight: {sentence}");
            ExitCode::FAILURE
        }
    }
}

fn mint(options: &Options, settings: &JwtSettings, now: Timestamp) -> Result<String, String> {
    let Some(secret) = &settings.secret else {
        return Err("There is no secret to sign with. Give --secret, or set JWT_SECRET to the one that the server has.".to_owned());
    };
    if secret.expose().len() < MIN_JWT_SECRET_BYTES {
        let bytes = secret.expose().len();
        return Err(format!(
            "The secret has {bytes} bytes; expected at least {MIN_JWT_SECRET_BYTES}, as the server does. `openssl rand -base64 48` makes one."
        ));
    }
    let user = UserId::parse(&options.sub)
        .map_err(|error| format!("--sub {error}; expected a user's id."))?;
    let name = options
        .name
        .as_deref()
        .map(parse_name)
        .transpose()
        .map_err(|error| format!("--name was not taken: {error}"))?;
    let picture = options
        .picture
        .as_deref()
        .map(parse_avatar_url)
        .transpose()
        .map_err(|error| format!("--picture was not taken: {error}"))?;
    let iat = now.0.div_euclid(1_000);
    let claims = Claims {
        sub: user.as_str(),
        name: name.as_deref(),
        picture: picture.as_deref(),
        iss: settings.issuer.as_deref(),
        aud: settings.audience.as_deref(),
        iat,
        exp: iat.saturating_add(i64::try_from(options.expires_in.as_secs()).unwrap_or(i64::MAX)),
    };
    jsonwebtoken::encode(
        &Header::default(),
        &claims,
        &EncodingKey::from_secret(secret.expose().as_bytes()),
    )
    .map_err(|error| format!("The token could not be signed: {error}."))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Secret;
    use crate::jwt::TokenVerifier;

    const NOW: Timestamp = Timestamp(1_800_000_000_900);

    fn options(sub: &str) -> Options {
        Options {
            sub: sub.to_owned(),
            name: Some("Ada".to_owned()),
            picture: Some("/ada.png".to_owned()),
            expires_in: Duration::from_secs(300),
            secret: None,
            audience: None,
            issuer: None,
        }
    }

    fn settings(secret: &str) -> JwtSettings {
        JwtSettings {
            secret: Some(Secret::new(secret)),
            issuer: Some("me".to_owned()),
            audience: Some("lamplight".to_owned()),
            jwks: None,
        }
    }

    #[tokio::test]
    async fn a_minted_token_is_accepted() {
        let settings = settings("a secret of thirty-two characters");
        let token = mint(&options("42"), &settings, NOW).unwrap();
        let verified = TokenVerifier::new(&settings)
            .await
            .unwrap()
            .verify(&token, NOW)
            .await
            .unwrap();
        assert_eq!(
            (
                verified.user.as_str(),
                verified.name.as_deref(),
                verified.picture.as_deref()
            ),
            ("42", Some("Ada"), Some("/ada.png"))
        );
        assert_eq!(verified.expires_at, Timestamp(1_800_000_300_000));
    }

    #[test]
    fn no_token_is_minted_that_the_server_would_refuse() {
        assert!(
            mint(&options("42"), &JwtSettings::default(), NOW)
                .unwrap_err()
                .contains("JWT_SECRET")
        );
        let sentence = mint(&options("42"), &settings("hunter2"), NOW).unwrap_err();
        assert!(
            sentence.contains("7 bytes") && !sentence.contains("hunter2"),
            "{sentence}"
        );
        let settings = settings("a secret of thirty-two characters");
        assert_eq!(
            mint(&options(""), &settings, NOW).unwrap_err(),
            "--sub is empty; expected a user's id."
        );
        let picture = Options {
            picture: Some("javascript:1".to_owned()),
            ..options("42")
        };
        assert!(
            mint(&picture, &settings, NOW)
                .unwrap_err()
                .starts_with("--picture was not taken")
        );
    }
}
