//! Keys: those of this server, and those of subscriptions.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use lamplight_usecases::ports::{PushKey, PushTarget};
use web_push_native::Auth;
use web_push_native::p256::elliptic_curve::sec1::ToEncodedPoint as _;
use web_push_native::p256::{PublicKey, SecretKey};

/// The length of an uncompressed point: browsers have no other form.
const POINT: usize = 65;
const AUTH: usize = 16;

/// A new key pair for VAPID.
///
/// # Panics
/// When the system has no random numbers; nothing that Lamplight does is safe then.
pub(crate) fn new_key() -> PushKey {
    loop {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).expect("random numbers");
        // All but one of 2^32 numbers are keys.
        if let Ok(secret) = SecretKey::from_slice(&bytes) {
            let public = secret.public_key().to_encoded_point(false);
            return PushKey {
                public: BASE64.encode(public.as_bytes()).into(),
                private: BASE64.encode(bytes).into(),
            };
        }
    }
}

/// The secret key of a pair.
pub(super) fn secret(key: &PushKey) -> Option<SecretKey> {
    SecretKey::from_slice(&BASE64.decode(&*key.private).ok()?).ok()
}

/// The keys of a subscription.
pub(super) fn of_target(target: &PushTarget) -> Result<(PublicKey, Auth), String> {
    let point = BASE64.decode(&*target.p256dh).ok();
    let public = point
        .filter(|point| point.len() == POINT)
        .and_then(|point| PublicKey::from_sec1_bytes(&point).ok())
        .ok_or(
            "keys.p256dh is no uncompressed point on P-256 in base64url, as browsers give it.",
        )?;
    let auth = BASE64.decode(&*target.auth).ok();
    let auth = auth
        .and_then(|auth| <[u8; AUTH]>::try_from(auth).ok())
        .ok_or("keys.auth is not 16 bytes in base64url, as browsers give them.")?;
    Ok((public, Auth::from(auth)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 8291, appendix A.
    #[test]
    fn the_example_of_the_rfc_is_decrypted() {
        let decode = |text: &str| BASE64.decode(text).unwrap();
        let secret = SecretKey::from_slice(&decode("q1dXpw3UpT5VOmu_cf_v6ih07Aems3njxI-JWgLcM94"));
        let secret = secret.unwrap();
        let target = PushTarget {
            endpoint: "https://push.example/x".into(),
            p256dh: "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4".into(),
            auth: "BTBZMqHH6r4Tts7J_aSIgg".into(),
        };
        let (public, auth) = of_target(&target).unwrap();
        assert_eq!(public, secret.public_key());
        let sealed = decode(
            "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A_yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN",
        );
        let plain = web_push_native::decrypt(sealed, &secret, &auth).unwrap();
        assert_eq!(plain, b"When I grow up, I want to be a watermelon");
        let sealed = web_push_native::encrypt(b"hello".to_vec(), &public, &auth).unwrap();
        let plain = web_push_native::decrypt(sealed, &secret, &auth).unwrap();
        assert_eq!(plain, b"hello");
    }

    #[test]
    fn keys_are_those_of_browsers() {
        let key = new_key();
        let target = |p256dh: &str, auth: &str| PushTarget {
            endpoint: "https://push.example/x".into(),
            p256dh: p256dh.into(),
            auth: auth.into(),
        };
        let auth = BASE64.encode([1; AUTH]);
        assert!(of_target(&target(&key.public, &auth)).is_ok());
        assert_eq!(
            BASE64.encode(secret(&key).unwrap().to_bytes()),
            *key.private
        );
        let compressed = secret(&key).unwrap().public_key().to_encoded_point(true);
        for p256dh in [
            "",
            "!",
            "AAAA",
            &BASE64.encode(compressed.as_bytes()),
            &BASE64.encode([4; POINT]),
        ] {
            assert!(of_target(&target(p256dh, &auth)).is_err(), "{p256dh}");
        }
        assert!(of_target(&target(&key.public, "AAAA")).is_err());
        assert_ne!(new_key(), key);
    }
}
