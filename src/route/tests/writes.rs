//! What ends a photo that is held.

use super::*;
use crate::route::PhotoWrite;

fn send(method: &str, target: &str) -> Recognition {
    let method = Method::from_bytes(method.as_bytes()).unwrap();
    recognise(&method, &uri(target), &HeaderMap::new(), true)
}

/// A write whose path names its owner.
fn of(owner: PhotoOwner) -> Recognition {
    Recognition::Write(PhotoWrite { owner: Some(owner) })
}

/// A write of nobody knows whose photo.
const OF_ANYONE: Recognition = Recognition::Write(PhotoWrite { owner: None });

#[test]
fn a_write_that_can_be_read_names_its_owner() {
    let contact = PhotoOwner::Contact {
        mailbox: Mailbox::Me,
        folders: Box::new([]),
        id: CONTACT.into(),
    };
    let team = PhotoOwner::Team {
        id: guid(TEAM),
        place: TeamPlace::Teams,
    };
    for (target, owner) in [
        ("/v1.0/me/photo/$value".to_owned(), PhotoOwner::Me),
        ("/v1.0/me/photo/$value?x=y".to_owned(), PhotoOwner::Me),
        ("/v1.0/me/photo/".to_owned(), PhotoOwner::Me),
        ("/beta/me/photos/48x48/$value".to_owned(), PhotoOwner::Me),
        ("/v1.0/me".to_owned(), PhotoOwner::Me),
        (
            format!("/v1.0/users/{USER}/photo/%24value"),
            PhotoOwner::User(guid(USER)),
        ),
        (format!("/v1.0/users/{USER}"), PhotoOwner::User(guid(USER))),
        (format!("/v1.0/users/{USER}/"), PhotoOwner::User(guid(USER))),
        (
            "/v1.0/users/photos@contoso.example".to_owned(),
            PhotoOwner::User(upn("photos@contoso.example")),
        ),
        (
            format!("/v1.0/groups('{GROUP}')"),
            PhotoOwner::Group(guid(GROUP)),
        ),
        (format!("/v1.0/teams/{TEAM}/photo/$value"), team),
        (format!("/v1.0/me/contacts/{CONTACT}"), contact.clone()),
        (format!("/v1.0/me/contacts/{CONTACT}/photo/$value"), contact),
    ] {
        for method in ["PUT", "PATCH", "DELETE", "PURGE"] {
            let said = send(method, &target);
            assert_eq!(said, of(owner.clone()), "{method} {target}");
        }
        // A POST to an owner itself is a function's; to a photo it may be anything.
        let posted = if target.contains("photo/") || target.contains("photos/") {
            of(owner)
        } else {
            Recognition::Other
        };
        assert_eq!(send("POST", &target), posted, "POST {target}");
    }
}

#[test]
fn a_write_in_any_spelling_a_server_might_accept_is_seen() {
    for target in [
        "/v1.0/me/photo/48x48/$value",
        "/v1.0/me/photos/default/$value",
        "/v1.0/me/photo/$value/",
        "/v1.0/me/photo/%2524value",
        "/V1.0/me/photo/$value",
        "/me/photo",
        "/v1.0/me//photo/$value",
        "//v1.0/me/photo/$value",
        "/v1.0/me/PHOTO;x=y/$value",
        "/v1.0/me/photo.jpg",
        "/v1.0/me\\photo",
        "/v1.0/me%5Cphoto",
        "/v1.0/me%2Fphoto",
        "/v1.0/me%252fphoto",
        "/v1.0/me%25252fphoto",
        "/v1.0/me/ph%6Fto",
        "/v1.0/me/ph%256fto/$value",
        "/v1.0/me/%20photo",
        "/v1.0/me/photo%00",
        "/v1.0/me/photo%zz",
        "/v1.0/me/photo('x')/$value",
        "/v1.0/users/x/../y/photo/$value",
        "/v1.0/me/drive/root:/../../photo/$value",
        "/v1.0/me/drive/root:/a.jpg:/createdByUser/photo/$value",
        "/v1.0/me/drive/root/createdByUser/photo/$value",
        "/v1.0/users/x/joinedGroups/y/photos/48x48/$value",
        "/v1.0/users(userPrincipalName='x')/photo/$value",
        "/beta/admin/people/photoUpdateSettings",
        // Owners in a spelling of their own.
        "/v1.0/users(userPrincipalName='ada@contoso.example')",
        "/v1.0/groups(uniqueName='x')",
        "/v1.0/users//x",
        "/v1.0/users/x;y",
        "/v1.0/directoryObjects/11111111-2222-4333-8444-555555555555",
    ] {
        assert_eq!(send("PUT", target), OF_ANYONE, "{target}");
    }
}

#[test]
fn a_read_whose_method_is_overridden_is_a_write() {
    for name in [
        "X-HTTP-Method",
        "x-http-method-override",
        "X-Method-Override",
    ] {
        for method in [Method::GET, Method::HEAD] {
            let headers = headers(&[(&name.to_ascii_lowercase(), "PUT")]);
            let said = |target| recognise(&method, &uri(target), &headers, false);
            assert_eq!(said("/v1.0/me/photo/$value"), of(PhotoOwner::Me));
            assert_eq!(said("/v1.0/me//photo/$value"), OF_ANYONE);
            assert_eq!(said("/v1.0/me/messages"), Recognition::Other);
        }
    }
}

#[test]
fn a_write_elsewhere_puts_no_photo_in_doubt() {
    for target in [
        "/v1.0/me/messages",
        "/v1.0/me/sendMail",
        "/v1.0/users/photos@contoso.example/sendMail",
        "/v1.0/users/photo%40contoso.example/events",
        "/v1.0/me/drive/root:/photos/a.jpg:/content",
        "/v1.0/me/drive/root:/Photo%20Album/photo.jpg:/content",
        "/v1.0/drives/x/items/root:/photos/a.jpg:/content",
        "/v1.0/me/drive/items/x:/photo.jpg:/createUploadSession",
        "/v1.0/me/drive/special/photos:/a.jpg:/content",
        "/v1.0/me/drive/special/photos/children",
        "/v1.0/me/drive/root/children/photo.jpg/content",
        "/v1.0/directoryObjects/getByIds",
        "/v1.0/users/x/calendar/events?photo=1",
        "/v1.0/me/messages/x%2Fy/attachments",
        "/v1.0/groups/x/members/$ref",
        "/",
    ] {
        assert_eq!(send("POST", target), Recognition::Other, "{target}");
    }
}

#[test]
fn a_batch_is_known_by_its_path_and_any_doubt_about_it_is_told() {
    for (target, said) in [
        ("/v1.0/$batch", Recognition::Batch(Some(ApiVersion::V1))),
        ("/beta/$batch", Recognition::Batch(Some(ApiVersion::Beta))),
        ("/v1.0/%24batch", Recognition::Batch(Some(ApiVersion::V1))),
        ("/v1.0/%2524batch", Recognition::Batch(None)),
        ("/v1.0/$Batch/", Recognition::Batch(None)),
        ("/v2.0/$batch", Recognition::Batch(None)),
        ("/v1.0/$batch?x=1", Recognition::Batch(None)),
        ("/v1.0/$batched", Recognition::Other),
        ("/v1.0/me/$batch/x", Recognition::Other),
    ] {
        assert_eq!(send("POST", target), said, "{target}");
    }
    let preferring = headers(&[("prefer", "respond-async")]);
    assert_eq!(
        recognise(&Method::POST, &uri("/v1.0/$batch"), &preferring, true),
        Recognition::Batch(None)
    );
}
