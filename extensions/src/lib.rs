//! The extensions, a folder each.

#[cfg(any(
    feature = "basicauth",
    feature = "bearertokenauth",
    feature = "headers_setter",
    feature = "oap",
    feature = "oauth2client",
    feature = "oidc"
))]
#[cfg_attr(not(feature = "all"), allow(dead_code, reason = "each extension needs only some of it"))]
mod authenticator;
#[cfg(feature = "basicauth")]
pub mod basicauth;
#[cfg(feature = "bearertokenauth")]
pub mod bearertokenauth;
#[cfg(feature = "file_storage")]
pub mod file_storage;
#[cfg(feature = "headers_setter")]
pub mod headers_setter;
#[cfg(feature = "health_check")]
pub mod health_check;
#[cfg(feature = "oap")]
pub mod oap;
#[cfg(feature = "oauth2client")]
pub mod oauth2client;
#[cfg(feature = "oidc")]
pub mod oidc;
#[cfg(any(feature = "health_check", feature = "pprof", feature = "zpages"))]
mod pages;
#[cfg(feature = "pprof")]
pub mod pprof;
#[cfg(feature = "zpages")]
pub mod zpages;

use sluice_pipeline::component::Registry;

/// Adds every extension of this build.
#[allow(unused_variables, reason = "a build may have none of them")]
pub fn register(registry: &mut Registry) {
    #[cfg(feature = "basicauth")]
    registry.extension::<basicauth::BasicAuth>();
    #[cfg(feature = "bearertokenauth")]
    registry.extension::<bearertokenauth::BearerTokenAuth>();
    #[cfg(feature = "file_storage")]
    registry.extension::<file_storage::FileStorage>();
    #[cfg(feature = "headers_setter")]
    registry.extension::<headers_setter::HeadersSetter>();
    #[cfg(feature = "health_check")]
    registry.extension::<health_check::HealthCheck>();
    #[cfg(feature = "oap")]
    registry.extension::<oap::Oap>();
    #[cfg(feature = "oauth2client")]
    registry.extension::<oauth2client::OAuth2Client>();
    #[cfg(feature = "oidc")]
    registry.extension::<oidc::Oidc>();
    #[cfg(feature = "pprof")]
    registry.extension::<pprof::Pprof>();
    #[cfg(feature = "zpages")]
    registry.extension::<zpages::Zpages>();
}
