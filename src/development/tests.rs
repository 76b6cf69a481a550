use std::fs;
use std::path::PathBuf;

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

use super::*;
use crate::clock::Clock;

/// A directory of one test, removed at the end.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Self {
        let place = std::env::temp_dir().join(format!("gpp-kept-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&place);
        Self(place)
    }

    fn prepare(&self, names: &[&str], now: Time) -> Made {
        self.prepared(names, now).made
    }

    fn prepared(&self, names: &[&str], now: Time) -> Prepared {
        prepare(&self.wanted(names), now).unwrap()
    }

    fn wanted(&self, names: &[&str]) -> Development {
        Development {
            directory: self.0.clone(),
            names: names.iter().map(|name| (*name).to_owned()).collect(),
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn now() -> Time {
    Clock::by_hand().now()
}

#[test]
fn it_is_made_once_renewed_before_its_end_and_the_ca_before_its_own() {
    let place = Place::new("ages");
    let start = now();
    assert_eq!(place.prepare(&[], start), Made::Authority);
    assert_eq!(place.prepare(&[], start), Made::Nothing);
    let later = start.plus(LEAF.saturating_sub(MARGIN));
    assert_eq!(place.prepare(&[], later), Made::Nothing);
    let authority = fs::read(place.0.join("ca.pem")).unwrap();
    let near = start.plus(LEAF.saturating_sub(MARGIN) + Duration::from_secs(1));
    assert_eq!(place.prepare(&[], near), Made::Certificate);
    assert_eq!(place.prepare(&[], near), Made::Nothing);
    assert_eq!(fs::read(place.0.join("ca.pem")).unwrap(), authority);
    let last = start.plus(AUTHORITY.saturating_sub(DAY.saturating_mul(80)));
    assert_eq!(place.prepare(&[], last), Made::Authority);
    assert_ne!(fs::read(place.0.join("ca.pem")).unwrap(), authority);
}

#[test]
fn it_wants_renewal_a_month_before_its_end() {
    let place = Place::new("wants");
    let prepared = place.prepared(&[], now());
    assert!(!prepared.wants_renewal(now().plus(DAY.saturating_mul(60))));
    assert!(prepared.wants_renewal(now().plus(DAY.saturating_mul(60) + Duration::from_secs(1))));
}

#[test]
fn the_ca_is_used_again_for_no_more_names_than_it_was_made_for() {
    let place = Place::new("names");
    assert_eq!(place.prepare(&["photos.test"], now()), Made::Authority);
    assert_eq!(place.prepare(&[], now()), Made::Nothing);
    assert_eq!(place.prepare(&["photos.test"], now()), Made::Nothing);
    assert_eq!(place.prepare(&["other.test"], now()), Made::Authority);
    assert_eq!(
        place.prepare(&["other.test", "10.0.0.1"], now()),
        Made::Authority
    );
    assert_eq!(place.prepare(&["10.0.0.1"], now()), Made::Nothing);
}

#[test]
fn a_thief_of_the_ca_can_play_no_other_site() {
    let own = make::names(&["photos.test".to_owned()]);
    let authority = make::Authority::new(&own, now()).unwrap();
    assert!(authority.vouches(&authority.sign(&own, now()).unwrap(), &own, now(), DAY));
    for other in [
        "graph.microsoft.com",
        "login.microsoftonline.com",
        "photos.test.evil.test",
        "127.0.0.2",
        "::2",
    ] {
        let other = [other.to_owned()];
        let leaf = authority.sign(&other, now()).unwrap();
        assert!(!authority.vouches(&leaf, &other, now(), DAY), "{other:?}");
    }
}

#[test]
fn what_is_damaged_or_belongs_to_another_is_made_anew() {
    let place = Place::new("damaged");
    place.prepare(&[], now());
    let other = Place::new("other");
    other.prepare(&[], now());
    for (file, expected) in [
        ("localhost.pem", Made::Certificate),
        ("ca.pem", Made::Authority),
        ("ca-key.pem", Made::Nothing),
    ] {
        for damage in ["", "nothing in PEM"] {
            fs::write(place.0.join(file), damage).unwrap();
            // Without its key the CA cannot sign again.
            let expected = match expected {
                Made::Nothing => Made::Authority,
                made => made,
            };
            assert_eq!(place.prepare(&[], now()), expected, "{file}");
            assert_eq!(place.prepare(&[], now()), Made::Nothing, "{file}");
        }
        fs::copy(other.0.join(file), place.0.join(file)).unwrap();
        assert_eq!(place.prepare(&[], now()), expected, "{file} of another");
        if file == "ca-key.pem" {
            // Seen when it has to sign: what it signs, its own CA does not vouch for.
            fs::remove_file(place.0.join("localhost.pem")).unwrap();
            assert_eq!(place.prepare(&[], now()), Made::Authority);
        }
        assert_eq!(
            place.prepare(&[], now()),
            Made::Nothing,
            "{file} of another"
        );
    }
}

#[test]
fn the_bundle_holds_the_ca_beside_the_systems_roots() {
    let place = Place::new("bundle");
    let prepared = place.prepared(&[], now());
    let authority = CertificateDer::from_pem_file(&prepared.authority).unwrap();
    let bundle = CertificateDer::pem_file_iter(&prepared.bundle).unwrap();
    let bundle: Vec<_> = bundle.map(Result::unwrap).collect();
    let system = rustls_native_certs::load_native_certs().certs;
    assert_eq!(bundle.len(), system.len() + 1);
    assert!(bundle.contains(&authority) && system.iter().all(|root| bundle.contains(root)));
}

#[tokio::test]
async fn a_running_proxy_renews_it_before_its_end() {
    let place = Place::new("running");
    let settings = [
        ("listen", "off"),
        ("tls_listen", "127.0.0.1:0"),
        ("admin", "off"),
        ("tls_dev", "true"),
        ("tls_dev_dir", place.0.to_str().unwrap()),
    ];
    let clock = Clock::by_hand();
    let config = crate::config::Config::with(settings).unwrap();
    let app = crate::app::App::bind_with(config, clock.clone()).unwrap();
    let leaf = place.wanted(&[]).leaf();
    let (first, authority) = (
        fs::read(&leaf).unwrap(),
        fs::read(place.0.join("ca.pem")).unwrap(),
    );
    let running = tokio::spawn(app.run(std::future::pending()));
    clock.advance(LEAF.saturating_sub(MARGIN) + Duration::from_secs(1));
    let renewed = async {
        while fs::read(&leaf).unwrap() == first {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), renewed)
        .await
        .unwrap();
    assert_eq!(fs::read(place.0.join("ca.pem")).unwrap(), authority);
    running.abort();
}
