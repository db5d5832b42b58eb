//! Certificates made for a test.

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};

use super::Setup;

pub(crate) type Authority = CertifiedIssuer<'static, KeyPair>;

pub(crate) fn authority(name: &str) -> Authority {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// Writes the certificate of a new authority to `ca.crt`, and certificates of it: their names, and until which year.
pub(crate) fn issue_all(setup: &Setup, names: &[(&str, i32)]) -> Authority {
    let ours = authority("ours");
    setup.write("ca.crt", &ours.pem());
    names.iter().for_each(|(name, until)| issue(setup, &ours, name, *until));
    ours
}

/// Writes a certificate for localhost with its key, expired if `until` is a year gone by.
pub(crate) fn issue(setup: &Setup, issuer: &Authority, name: &str, until: i32) {
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(until, 1, 1);
    let key = KeyPair::generate().unwrap();
    setup.write(&format!("{name}.crt"), &params.signed_by(&key, issuer).unwrap().pem());
    setup.write(&format!("{name}.key"), &key.serialize_pem());
}
