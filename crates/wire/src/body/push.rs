//! Subscriptions to Web Push.

use serde::Deserialize;
use utoipa::ToSchema;

/// The body of `POST /api/push/subscriptions`: what `PushSubscription.toJSON()` of a browser returns,
/// and what the user wants.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PushSubscriptionBody {
    /// An `https` address at the browser's push service, at most 2,048 bytes.
    pub endpoint: String,
    pub keys: PushKeysBody,
    /// Whether notices have texts and names (the default), or ids only.
    #[serde(default)]
    pub content: Option<bool>,
    /// The key of `GET /api/push/key` that the browser subscribed with; the present one by default.
    #[serde(default)]
    pub key: Option<String>,
}

/// The keys of a browser's subscription, in base64url.
#[derive(Debug, Deserialize, ToSchema)]
pub struct PushKeysBody {
    /// Its public key: a point on P-256, 65 bytes.
    pub p256dh: String,
    /// Its authentication secret, 16 bytes.
    pub auth: String,
}

/// The body of `DELETE /api/push/subscriptions`.
#[derive(Debug, Deserialize, ToSchema)]
pub struct PushEndpointBody {
    pub endpoint: String,
}
