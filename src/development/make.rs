//! The CA and its certificate: made, signed, and looked at as a caller would.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, CidrSubnet, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, GeneralSubtree, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    NameConstraints, date_time_ymd,
};
use rustls::RootCertStore;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier as _;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::sign::CertifiedKey;
use rustls_pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName, UnixTime};

use super::{AUTHORITY, Error, LEAF};
use crate::clock::Time;
use crate::server::certificate_ends;

/// What every development certificate is for.
const OWN_NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];
/// How far clocks of one machine and its guests may be apart.
const SKEW: Duration = Duration::from_secs(3_600);

/// All names of the certificate, each once.
pub(super) fn names(extra: &[String]) -> Vec<String> {
    let mut names: Vec<String> = OWN_NAMES.map(ToOwned::to_owned).to_vec();
    for name in extra {
        if !names.contains(name) {
            names.push(name.clone());
        }
    }
    names
}

/// The CA with its key.
pub(super) struct Authority {
    pub(super) certificate: CertificateDer<'static>,
    pub(super) key: KeyPair,
}

/// The certificate with its key.
pub(super) struct Leaf {
    pub(super) certificate: CertificateDer<'static>,
    pub(super) key: KeyPair,
}

impl Leaf {
    /// Whether the listener can use the two together.
    fn is_a_pair(&self) -> bool {
        let chain = vec![self.certificate.clone()];
        let key = PrivatePkcs8KeyDer::from(self.key.serialized_der()).clone_key();
        CertifiedKey::from_der(chain, key.into(), &default_provider()).is_ok()
    }
}

impl Authority {
    /// A new one that may sign for these names.
    pub(super) fn new(names: &[String], now: Time) -> Result<Self, Error> {
        let key = KeyPair::generate()?;
        let mut params = issuer(&key);
        span(&mut params, now, AUTHORITY);
        params.name_constraints = Some(NameConstraints {
            permitted_subtrees: names.iter().map(|name| subtree(name)).collect(),
            excluded_subtrees: Vec::new(),
        });
        let certificate = params.self_signed(&key)?.der().clone();
        Ok(Self { certificate, key })
    }

    /// A new certificate for these names.
    pub(super) fn sign(&self, names: &[String], now: Time) -> Result<Leaf, Error> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(names)?;
        params.distinguished_name = named("graph-photo-proxy");
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        span(&mut params, now, LEAF);
        let issuer = Issuer::new(issuer(&self.key), &self.key);
        let certificate = params.signed_by(&key, &issuer)?.der().clone();
        Ok(Leaf { certificate, key })
    }

    /// Whether it has not ended by then. Verifiers do not look at a trusted root's end, and
    /// some callers do.
    pub(super) fn is_good_until(&self, then: Time) -> bool {
        certificate_ends(&self.certificate).is_some_and(|end| end >= then.unix_seconds())
    }

    /// Whether a caller who trusts this CA accepts the certificate for every name, now and
    /// so much later.
    pub(super) fn vouches(
        &self,
        leaf: &Leaf,
        names: &[String],
        now: Time,
        later: Duration,
    ) -> bool {
        let mut roots = RootCertStore::empty();
        if roots.add(self.certificate.clone()).is_err() || !leaf.is_a_pair() {
            return false;
        }
        let provider = Arc::new(default_provider());
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider);
        let Ok(verifier) = verifier.build() else {
            return false;
        };
        let accepts = |name: &String, at: Time| {
            let at = UnixTime::since_unix_epoch(Duration::from_secs(at.unix_seconds()));
            ServerName::try_from(name.as_str()).is_ok_and(|name| {
                let verified = verifier.verify_server_cert(&leaf.certificate, &[], &name, &[], at);
                verified.is_ok()
            })
        };
        names
            .iter()
            .all(|name| accepts(name, now) && accepts(name, now.plus(later)))
    }
}

/// What names the CA in what it signs; the same for the same key.
fn issuer(key: &KeyPair) -> CertificateParams {
    let mut params = CertificateParams::default();
    // The key's own mark tells the CAs of several machines apart where people manage them.
    let mark = params.key_identifier(key);
    let mark: Vec<String> = mark
        .iter()
        .take(4)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    params.distinguished_name = named(&format!(
        "graph-photo-proxy development CA {}",
        mark.concat()
    ));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn named(name: &str) -> DistinguishedName {
    let mut whole = DistinguishedName::new();
    whole.push(DnType::CommonName, name);
    whole
}

fn span(params: &mut CertificateParams, now: Time, length: Duration) {
    let at = |time: Time| date_time_ymd(1970, 1, 1) + Duration::from_secs(time.unix_seconds());
    params.not_before = at(now.minus(SKEW));
    params.not_after = at(now.plus(length));
}

/// The names that a name stands for: an address itself, a host with what is below it.
fn subtree(name: &str) -> GeneralSubtree {
    match name.parse::<IpAddr>() {
        Ok(address) => {
            let whole = if address.is_ipv4() { 32 } else { 128 };
            GeneralSubtree::IpAddress(CidrSubnet::from_addr_prefix(address, whole))
        }
        Err(_) => GeneralSubtree::DnsName(name.to_owned()),
    }
}
