//! What looks like a photo read and is none.

use super::*;

/// Targets of a GET that no rule makes a photo read.
const LOOK_ALIKES: &[&str] = &[
    // Other things called photo.
    "/v1.0/me/drive/root:/photo/$value",
    "/v1.0/me/drive/root:/photo",
    "/v1.0/me/drive/root/createdByUser/photo",
    "/v1.0/me/drive/special/photos",
    "/v1.0/drives/x/items/y/photo",
    "/v1.0/sites/x/lists/photos",
    "/v1.0/contacts/AAMk=/photo",
    "/v1.0/contacts/AAMk=/photo/$value",
    "/v1.0/me/manager/photo",
    "/v1.0/me/manager/photo/$value",
    "/v1.0/me/directReports/x/photo",
    "/v1.0/groups/x/members/y/photo",
    "/v1.0/groups/x/team/photos",
    "/v1.0/groups/x/team/photos/48x48/$value",
    "/v1.0/groups/x/contacts/y/photo",
    "/v1.0/teams/x/photos",
    "/v1.0/teams/x/photos/48x48/$value",
    "/v1.0/teams/x/photo/48x48/$value",
    "/v1.0/teams/x/members/y/photo",
    "/v1.0/team/photo",
    "/v1.0/team('x')/photo",
    "/v1.0/me/contacts/x/photos",
    "/v1.0/me/contactFolders/x/photo",
    "/v1.0/me/contactFolders/x/childFolders/y/photo",
    "/v1.0/me/joinedTeams/x/photos",
    "/v1.0/me/joinedTeams/photo",
    "/v1.0/users/x/joinedGroups/y/photos",
    "/beta/admin/people/photoUpdateSettings",
    // Words where an id should be.
    "/v1.0/users/photo",
    "/v1.0/users/me/photo",
    "/v1.0/users/ME/photo/$value",
    "/v1.0/users('me')/photo",
    "/v1.0/users/me-token-to-replace/photo",
    "/v1.0/users/photo/photo",
    "/v1.0/users/photos/photos",
    "/v1.0/users/%70hoto/photo/$value",
    "/v1.0/users/$count/photo",
    "/v1.0/users/%24count/photo",
    "/v1.0/users('$count')/photo",
    "/v1.0/users/$x@contoso.example/photo",
    "/v1.0/users/%24x@contoso.example/photo",
    "/v1.0/users/delta/photo",
    "/v1.0/users/graph.user/photo",
    "/v1.0/users/microsoft.graph.user/photo",
    "/v1.0/groups/photos/photo",
    "/v1.0/groups('$x@y')/photo",
    "/v1.0/me/contacts/$count/photo",
    "/v1.0/me/contacts/photo/photo",
    "/v1.0/me/contactFolders/delta/contacts/x/photo",
    // More or less than a photo.
    "/v1.0/me/photo/$value/x",
    "/v1.0/me/photo/$value/",
    "/v1.0/me/photo/$valuex",
    "/v1.0/me/photo/$value.jpg",
    "/v1.0/me/photo/value",
    "/v1.0/me/photo/$count",
    "/v1.0/me/photo/$ref",
    "/v1.0/me/photo/width",
    "/v1.0/me/photo/48x48",
    "/v1.0/me/photo/48x48/$value",
    "/v1.0/me/photos/",
    "/v1.0/me/photos/$value",
    "/v1.0/me/photos/$count",
    "/v1.0/me/photos/%24count",
    "/v1.0/me/photos/default/$value",
    "/v1.0/me/photos/048x48/$value",
    "/v1.0/me/photos/48x48/48x48",
    "/v1.0/me/photos/4%38x48/$value",
    "/v1.0/me/photos()/$value",
    "/v1.0/me/photos('')/$value",
    "/v1.0/me/photos(48x48)/$value",
    "/v1.0/me/photos('48x48')/48x48/$value",
    "/v1.0/me/photo('48x48')/$value",
    "/v1.0/me('x')/photo",
    "/v1.0/me",
    "/v1.0/users",
    "/v1.0/users/x",
    "/v1.0/$batch",
    "/v1.0/$metadata",
    // Versions.
    "/",
    "/me/photo/$value",
    "/v2.0/me/photo/$value",
    "/v1/me/photo/$value",
    "/V1.0/me/photo/$value",
    "/BETA/me/photo/$value",
    "/v1%2E0/me/photo/$value",
    "/v1.0/beta/me/photo/$value",
    "/v1.0/contoso.example/me/photo/$value",
    "/v1.0/myOrganization/me/photo/$value",
    // Spellings that two readers might read in two ways.
    "//v1.0/me/photo",
    "/v1.0//me/photo",
    "/v1.0/me//photo",
    "/v1.0/me/photo//",
    "/v1.0/me/photo//$value",
    "/v1.0/users//photo",
    "/v1.0/./me/photo",
    "/v1.0/users/../me/photo",
    "/v1.0/users/./photo",
    "/v1.0/users/../photo",
    "/v1.0/users/%2e%2e/photo",
    "/v1.0/users/%2E/photo",
    "/v1.0/users/x%2Fy/photo",
    "/v1.0/users/x%2fy/photo",
    "/v1.0/users/x%5Cy/photo",
    "/v1.0/me%2Fphoto",
    "/v1.0/me/photo%2F$value",
    "/v1.0/me/phot%6F",
    "/v1.0/m%65/photo",
    "/v1.0/me/photo/%2524value",
    "/v1.0/users/x%2540contoso.example/photo",
    "/v1.0/users/x%2523EXT%2523@contoso.example%2F/photo",
    "/v1.0/users/x%2523EXT%23@contoso.example/photo",
    "/v1.0/users/x%2523EXT%2523%2523EXT%2523@contoso.example/photo",
    "/v1.0/users/x%252523EXT%252523@contoso.example/photo",
    "/v1.0/users/x%2523EXT%2523contoso.example/photo",
    "/v1.0/groups/x%2523EXT%2523@contoso.example/photo",
    "/v1.0/me/contacts/x%2523EXT%2523@y/photo",
    "/v1.0/users/x;v=1/photo",
    "/v1.0/users/x%3Bv/photo",
    "/v1.0/me;x/photo",
    "/v1.0/me/photo;x",
    "/v1.0/me/photo/$value;.css",
    "/v1.0/users/x%00/photo",
    "/v1.0/users/x%0D%0A/photo",
    "/v1.0/users/x%7F/photo",
    "/v1.0/users/x%C2%85/photo",
    "/v1.0/users/x%20/photo",
    "/v1.0/users/x%/photo",
    "/v1.0/users/x%4/photo",
    "/v1.0/users/x%zz/photo",
    "/v1.0/users/x%FF/photo",
    "/v1.0/users/x%C0%AF/photo",
    "/v1.0/users/x%E2%80%AE/photo",
    "/v1.0/users/x%3Fy/photo",
    "/v1.0/users/zoë@contoso.example/photo",
    "/v1.0/users/x:/photo",
    "/v1.0/users/x./photo",
    "/v1.0/users/'x'/photo",
    "/v1.0/users/x''y/photo",
    "/v1.0/users('x'/photo",
    "/v1.0/users('x)/photo",
    "/v1.0/users('x'')/photo",
    "/v1.0/users('x'y')/photo",
    "/v1.0/users('x')y/photo",
    "/v1.0/users('x')('y')/photo",
    "/v1.0/users('x')/y/photo",
    "/v1.0/users(x)/photo",
    "/v1.0/users(\"x\")/photo",
    "/v1.0/users%28'x'%29/photo",
    "/v1.0/users(userPrincipalName='x')/photo",
    "/v1.0/users('x','y')/photo",
    "/v1.0/users(%2527x%2527)/photo",
    "/v1.0/users/x%28y%29/photo",
];

#[test]
fn what_only_looks_like_a_photo_passes_through() {
    let long = format!("/v1.0/users/{}/photo", "a".repeat(1025));
    let deep = "/childFolders/F".repeat(8);
    let deep = format!("/v1.0/me/contactFolders/F{deep}/contacts/C/photo");
    for target in LOOK_ALIKES.iter().copied().chain([&*long, &*deep]) {
        assert_eq!(get(target), Recognition::Other, "{target}");
    }
}

#[test]
fn a_query_on_a_picture_passes_through() {
    for query in [
        "$select=id",
        "%24select=id",
        "v=1",
        "$format=json",
        "api-version=1.0",
        "&",
        "=",
        "x",
        "$select=sizedPhotos(48x48)",
        "?",
    ] {
        for target in ["/v1.0/me/photo/$value", "/v1.0/me/photos/48x48/$value"] {
            assert_eq!(
                get(&format!("{target}?{query}")),
                Recognition::Other,
                "{query}"
            );
        }
    }
}

#[test]
fn a_read_with_a_body_passes_through() {
    for method in [Method::GET, Method::HEAD] {
        for target in ["/v1.0/me/photo/$value", "/v1.0/me/photo", "/v1.0/me/photos"] {
            let said = recognise(&method, &uri(target), &HeaderMap::new(), true);
            assert_eq!(said, Recognition::Other);
        }
    }
}

#[test]
fn a_preflight_is_neither_read_nor_write() {
    for target in ["/v1.0/me/photo/$value", "/v1.0/users/x", "/v1.0/me/photo;x"] {
        let said = recognise(&Method::OPTIONS, &uri(target), &HeaderMap::new(), false);
        assert_eq!(said, Recognition::Other);
    }
}

#[test]
fn deep_contact_folders_are_read_down_to_the_limit() {
    let deep = "/childFolders/F".repeat(7);
    let owner = read(&format!("/v1.0/me/contactFolders/F{deep}/contacts/C/photo")).owner;
    assert!(matches!(owner, PhotoOwner::Contact { folders, .. } if folders.len() == 8));
}
