use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use statehold_core::{Clock, Kind, Namespace};

use super::*;
use crate::control::tests::{Installed, install};
use crate::control::{Scope, ScopeSet};

fn reader() -> NewKey {
    NewKey {
        name: "shop front".into(),
        namespaces: KeyNamespaces::These(vec![Namespace::new("default").unwrap()]),
        scopes: ScopeSet::parse(["cache:read"]).unwrap(),
        lifetime: Some(LIFETIME_DEFAULT),
        allowed_cidrs: Vec::new(),
        created_by: "cli".into(),
    }
}

fn verify(installed: &Installed, issued: &IssuedKey) -> Result<Arc<ApiKey>, KeyRefusal> {
    installed.tables.verify_key(issued.text.expose(), None)
}

#[tokio::test]
async fn a_key_is_accepted_until_it_expires() {
    let installed = install().await;
    let issued = installed.tables.create_key(reader()).await.unwrap();
    let key = verify(&installed, &issued).unwrap();
    assert!(key.scopes.allows(Scope::CacheRead) && !key.scopes.allows(Scope::CacheWrite));
    installed.clock.advance(LIFETIME_DEFAULT.saturating_sub(Duration::from_millis(1)));
    assert!(verify(&installed, &issued).is_ok());
    installed.clock.advance(Duration::from_millis(1));
    assert_eq!(verify(&installed, &issued).unwrap_err(), KeyRefusal::Expired);
}

#[tokio::test]
async fn an_altered_or_unknown_key_is_invalid() {
    let installed = install().await;
    let issued = installed.tables.create_key(reader()).await.unwrap();
    let other = installed.tables.create_key(reader()).await.unwrap();
    let text = issued.text.expose();
    let swapped = format!("shk_{}{}", other.key.id, &text[20..]);
    for wrong in [swapped.as_str(), &text.replace(issued.key.id.as_str(), "0123456789abcdef"), "", "shk_"] {
        assert_eq!(installed.tables.verify_key(wrong, None).unwrap_err(), KeyRefusal::Invalid, "{wrong}");
    }
}

#[tokio::test]
async fn a_revoked_key_is_invalid_at_once_and_in_other_processes_after_a_refresh() {
    let installed = install().await;
    let issued = installed.tables.create_key(reader()).await.unwrap();
    let elsewhere = installed.open_again().await;
    assert!(elsewhere.verify_key(issued.text.expose(), None).is_ok());
    assert!(installed.tables.revoke_key(&issued.key.id).await.unwrap());
    assert_eq!(verify(&installed, &issued).unwrap_err(), KeyRefusal::Invalid);
    assert!(elsewhere.refresh().await.unwrap());
    assert!(!elsewhere.refresh().await.unwrap());
    assert_eq!(elsewhere.verify_key(issued.text.expose(), None).unwrap_err(), KeyRefusal::Invalid);
    assert!(!installed.tables.revoke_key(&issued.key.id).await.unwrap());
    let unknown = KeyId::parse("0123456789abcdef").unwrap();
    assert_eq!(installed.tables.revoke_key(&unknown).await.unwrap_err().kind(), Kind::NotFound);
}

#[tokio::test]
async fn two_secrets_serve_while_they_overlap() {
    let installed = install().await;
    let first = installed.tables.create_key(reader()).await.unwrap();
    let second = installed.tables.rotate_key(&first.key.id, OVERLAP_DEFAULT).await.unwrap();
    assert!(verify(&installed, &first).is_ok() && verify(&installed, &second).is_ok());
    let third = installed.tables.rotate_key(&first.key.id, OVERLAP_DEFAULT).await.unwrap();
    assert_eq!(verify(&installed, &first).unwrap_err(), KeyRefusal::Invalid, "never more than two");
    assert!(verify(&installed, &second).is_ok() && verify(&installed, &third).is_ok());
    installed.clock.advance(OVERLAP_DEFAULT);
    assert_eq!(verify(&installed, &second).unwrap_err(), KeyRefusal::Invalid);
    assert!(verify(&installed, &third).is_ok());
    installed.tables.revoke_key(&first.key.id).await.unwrap();
    let refused = installed.tables.rotate_key(&first.key.id, OVERLAP_DEFAULT).await.unwrap_err();
    assert_eq!(refused.kind(), Kind::Conflict);
}

#[tokio::test]
async fn a_key_is_accepted_from_its_addresses_alone() {
    let installed = install().await;
    let cidrs = vec!["10.0.0.0/8".parse().unwrap(), "2001:db8::/32".parse().unwrap()];
    let issued = installed.tables.create_key(NewKey { allowed_cidrs: cidrs, ..reader() }).await.unwrap();
    let from =
        |peer: &str| installed.tables.verify_key(issued.text.expose(), Some(peer.parse::<IpAddr>().unwrap()));
    for peer in ["10.1.2.3", "::ffff:10.1.2.3", "2001:db8::1"] {
        assert!(from(peer).is_ok(), "{peer}");
    }
    assert_eq!(from("11.0.0.1").unwrap_err(), KeyRefusal::AddressNotAllowed);
    assert_eq!(verify(&installed, &issued).unwrap_err(), KeyRefusal::AddressNotAllowed);
}

#[tokio::test]
async fn the_last_use_is_written_once_a_minute_at_most() {
    let installed = install().await;
    let issued = installed.tables.create_key(reader()).await.unwrap();
    let began = installed.clock.now();
    let kept = async || {
        installed.tables.note_key_uses().await.unwrap();
        installed.open_again().await.key(&issued.key.id).unwrap().last_used_at
    };
    assert_eq!(kept().await, None);
    verify(&installed, &issued).unwrap();
    assert_eq!(kept().await, Some(began));
    installed.clock.advance(Duration::from_secs(59));
    verify(&installed, &issued).unwrap();
    assert_eq!(kept().await, Some(began));
    installed.clock.advance(Duration::from_secs(1));
    verify(&installed, &issued).unwrap();
    assert_eq!(kept().await, Some(began.plus(Duration::from_mins(1))));
}

#[tokio::test]
async fn nothing_kept_or_printed_is_the_secret() {
    let installed = install().await;
    let issued = installed.tables.create_key(reader()).await.unwrap();
    let secret = &issued.text.expose()[21..];
    assert!(!format!("{issued:?} {:?}", installed.tables.keys()).contains(secret));
    installed.tables.database().close();
    for entry in std::fs::read_dir(installed.directory.path()).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        assert!(!bytes.windows(secret.len()).any(|window| window == secret.as_bytes()));
    }
}

#[tokio::test]
async fn what_is_out_of_bounds_is_refused() {
    let installed = install().await;
    let wrong = [
        NewKey { name: String::new(), ..reader() },
        NewKey { name: "a\nb".into(), ..reader() },
        NewKey { scopes: ScopeSet::default(), ..reader() },
        NewKey { namespaces: KeyNamespaces::These(Vec::new()), ..reader() },
        NewKey { lifetime: Some(Duration::ZERO), ..reader() },
        NewKey { lifetime: Some(LIFETIME_MAX + Duration::from_secs(1)), ..reader() },
    ];
    for new in wrong {
        assert_eq!(installed.tables.create_key(new).await.unwrap_err().kind(), Kind::Invalid);
    }
    assert!(installed.tables.keys().is_empty());
}

#[tokio::test]
async fn an_operator_key_is_known_until_it_is_revoked() {
    let installed = install().await;
    assert!(!installed.tables.has_operator_key());
    let operator = NewKey { namespaces: KeyNamespaces::All, scopes: ScopeSet::all(), ..reader() };
    let issued = installed.tables.create_key(operator).await.unwrap();
    assert!(installed.tables.has_operator_key());
    installed.tables.revoke_key(&issued.key.id).await.unwrap();
    assert!(!installed.tables.has_operator_key());
}
