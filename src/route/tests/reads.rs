//! Every photo route, in every spelling that real clients send.

use super::*;

/// The owner that a template of the routes file names, with the ids of its example.
fn owner_of(template: &str) -> PhotoOwner {
    let head = template.split("/photo").next().unwrap();
    let user = || Mailbox::User(guid(USER));
    let team = |place| PhotoOwner::Team {
        id: guid(TEAM),
        place,
    };
    let contact = |mailbox, folders: &[&str]| PhotoOwner::Contact {
        mailbox,
        folders: folders.iter().map(|&id| id.into()).collect(),
        id: CONTACT.into(),
    };
    match head {
        "/me" => PhotoOwner::Me,
        "/users/{user-id}" => PhotoOwner::User(guid(USER)),
        "/groups/{group-id}" => PhotoOwner::Group(guid(GROUP)),
        "/groups/{group-id}/team" => PhotoOwner::Team {
            id: guid(GROUP),
            place: TeamPlace::GroupTeam,
        },
        "/teams/{team-id}" => team(TeamPlace::Teams),
        "/team/{team-id}" => team(TeamPlace::Team),
        "/me/joinedTeams/{team-id}" => team(TeamPlace::JoinedTeams(Mailbox::Me)),
        "/users/{user-id}/joinedTeams/{team-id}" => team(TeamPlace::JoinedTeams(user())),
        "/me/contacts/{contact-id}" => contact(Mailbox::Me, &[]),
        "/users/{user-id}/contacts/{contact-id}" => contact(user(), &[]),
        "/me/contactFolders/{contactFolder-id}/contacts/{contact-id}" => {
            contact(Mailbox::Me, &[FOLDER])
        }
        "/users/{user-id}/contactFolders/{contactFolder-id}/contacts/{contact-id}" => {
            contact(user(), &[FOLDER])
        }
        "/me/contactFolders/{contactFolder-id}/childFolders/{contactFolder-id1}/contacts/{contact-id}" => {
            contact(Mailbox::Me, &[FOLDER, INNER_FOLDER])
        }
        "/users/{user-id}/contactFolders/{contactFolder-id}/childFolders/{contactFolder-id1}/contacts/{contact-id}" => {
            contact(user(), &[FOLDER, INNER_FOLDER])
        }
        unknown => panic!("no owner known for {unknown}"),
    }
}

#[test]
fn every_route_of_the_metadata_and_of_the_documentation_page_is_read_under_both_versions() {
    let mut read_routes = 0;
    for line in ROUTES.lines().skip(1) {
        let columns: Vec<&str> = line.split('\t').collect();
        let (template, kind, origin, example) = (columns[1], columns[2], columns[5], columns[12]);
        for (version, prefix) in [(ApiVersion::V1, "/v1.0"), (ApiVersion::Beta, "/beta")] {
            let target = example.replacen("/v1.0", prefix, 1);
            if !matches!(origin, "head" | "seed-only") {
                assert_eq!(get(&target), Recognition::Other, "{target}");
                continue;
            }
            let (view, size) = match kind {
                "metadata" => (View::Metadata, PhotoSize::Largest),
                "value" => (View::Media, PhotoSize::Largest),
                "list" => (View::List, PhotoSize::Largest),
                "sized-metadata" => (View::Metadata, SIZE_48),
                "sized-value" => (View::Media, SIZE_48),
                unknown => panic!("{unknown}"),
            };
            for head in [false, true] {
                let method = if head { Method::HEAD } else { Method::GET };
                let expected = PhotoRequest {
                    version,
                    owner: owner_of(template),
                    view,
                    size,
                    variant: Variant::default(),
                    head,
                };
                assert_eq!(
                    recognise(&method, &uri(&target), &HeaderMap::new(), false),
                    Recognition::Read(expected),
                    "{method} {target}"
                );
                read_routes += 1;
            }
        }
    }
    assert_eq!(
        read_routes,
        37 * 2 * 2,
        "35 routes of the metadata, 2 of the page alone"
    );
}

#[test]
fn the_places_of_beta_alone_are_read_under_beta_alone() {
    for (path, template) in [
        ("/teamTemplateDefinition/ZGVm-1==/teamDefinition", None),
        ("/teamtemplatedefinition('ZGVm-1==')/teamDefinition", None),
        (
            "/teamwork/teamTemplates/com.example.template.One/definitions/ZGVm-1==/teamDefinition",
            Some("com.example.template.One".into()),
        ),
    ] {
        let owner = PhotoOwner::TeamTemplate {
            template,
            definition: "ZGVm-1==".into(),
        };
        let expected = PhotoRequest {
            version: ApiVersion::Beta,
            ..media(owner)
        };
        assert_eq!(read(&format!("/beta{path}/photo/$value")), expected);
        assert_eq!(read(&format!("/beta{path}/photo")).view, View::Metadata);
        assert_eq!(
            get(&format!("/v1.0{path}/photo/$value")),
            Recognition::Other
        );
        assert_eq!(get(&format!("/beta{path}/photos")), Recognition::Other);
    }
}

#[track_caller]
fn all_are(expected: &PhotoRequest, spellings: &[&str]) {
    for spelling in spellings {
        assert_eq!(read(&format!("/v1.0{spelling}")), *expected, "{spelling}");
    }
}

#[test]
fn all_spellings_of_a_view_are_one_request() {
    let picture = media(PhotoOwner::Me);
    let spellings = [
        "/me/photo/$value",
        "/me/photo/%24value",
        "/Me/PHOTO/$Value",
        "/me/photo/$value?",
    ];
    all_are(&picture, &spellings);
    let metadata = PhotoRequest {
        view: View::Metadata,
        ..picture.clone()
    };
    all_are(&metadata, &["/me/photo", "/me/photo/", "/me/photo?"]);
    let sized_metadata = PhotoRequest {
        size: SIZE_48,
        ..metadata
    };
    let spellings = [
        "/me/photos/48x48",
        "/me/photos/48X48/",
        "/me/photos('48x48')",
    ];
    all_are(&sized_metadata, &spellings);
    let sized_picture = PhotoRequest {
        size: SIZE_48,
        ..picture
    };
    let spellings = [
        "/me/photos/48x48/$value",
        "/me/photos/48X48/%24value",
        "/me/photos('48x48')/$value",
        "/me/photos(%2748X48%27)/$value",
    ];
    all_are(&sized_picture, &spellings);
}

#[test]
fn all_spellings_of_a_user_are_one_request() {
    let user = |id| media(PhotoOwner::User(id));
    all_are(
        &user(guid("11111111-2222-4333-8444-ABCDEFABCDEF")),
        &[
            "/users/11111111-2222-4333-8444-ABCDEFABCDEF/photo/$value",
            "/users/11111111-2222-4333-8444-abcdefABCDEF/photo/$value",
            "/users('11111111-2222-4333-8444-abcdefabcdef')/photo/$value",
            "/Users(%2711111111-2222-4333-8444-abcdefabcdef%27)/photo/$value",
            "/users/11111111%2D2222-4333-8444-abcdefabcdef/photo/$value",
        ],
    );
    all_are(
        &user(upn("ada@contoso.example")),
        &[
            "/users/ada@contoso.example/photo/$value",
            "/users/ada%40contoso.example/photo/$value",
            "/users/ADA@Contoso.Example/photo/$value",
            "/users/%61da@contoso.example/photo/$value",
            "/users('ada@contoso.example')/photo/$value",
        ],
    );
    all_are(
        &user(upn("o'brien@contoso.example")),
        &[
            "/users/o'brien@contoso.example/photo/$value",
            "/users/O%27Brien@contoso.example/photo/$value",
            "/users('o''brien@contoso.example')/photo/$value",
            "/users('o%27%27brien@contoso.example')/photo/$value",
        ],
    );
    let dollar = user(upn("$ada@contoso.example"));
    all_are(&dollar, &["/users('$ada@contoso.example')/photo/$value"]);
}

#[test]
fn a_guest_encoded_twice_is_not_the_guest_encoded_once() {
    let guest = |mark| {
        media(PhotoOwner::User(upn(&format!(
            "bo_x.example{mark}@contoso.example"
        ))))
    };
    all_are(
        &guest("#ext#"),
        &[
            "/users/bo_x.example%23EXT%23@contoso.example/photo/$value",
            "/users/bo_x.example%23ext%23%40contoso.example/photo/$value",
        ],
    );
    let twice = "/users/bo_x.example%2523EXT%2523@contoso.example/photo/$value";
    all_are(&guest("%23ext%23"), &[twice]);
}

#[test]
fn all_spellings_of_a_contact_are_one_request() {
    let contact = media(PhotoOwner::Contact {
        mailbox: Mailbox::Me,
        folders: Box::new(["F=".into()]),
        id: "C=".into(),
    });
    all_are(
        &contact,
        &[
            "/me/contactFolders/F=/contacts/C=/photo/$value",
            "/me/contactfolders/F=/contacts/C=/photo/$value",
            "/me/contactFolders('F=')/contacts('C=')/photo/$value",
            "/me/contactFolders/F%3D/contacts/C%3D/photo/$value",
        ],
    );
}

#[test]
fn sizes_have_one_to_four_digits_and_one_spelling() {
    for (text, width, height) in [("1x1", 1, 1), ("9999x9999", 9999, 9999), ("48X64", 48, 64)] {
        assert_eq!(
            PhotoSize::parse(text),
            Some(PhotoSize::Sized { width, height })
        );
    }
    for text in [
        "",
        "x",
        "48",
        "48x",
        "x48",
        "048x48",
        "48x048",
        "0x0",
        "48x0",
        "10000x1",
        "1x10000",
        "48x48x48",
        "48xx48",
        "+48x48",
        "-1x1",
        "48 x48",
        "48×48",
        "４８x４８",
        "default",
        "48%7848",
    ] {
        assert_eq!(PhotoSize::parse(text), None, "{text}");
    }
}

#[test]
fn a_guid_has_its_hyphens_and_nothing_else() {
    assert_eq!(
        Guid::parse("00112233-4455-6677-8899-AAbbCCddEEff")
            .unwrap()
            .0,
        [
            0, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee,
            0xff
        ]
    );
    for text in [
        "",
        "00112233445566778899aabbccddeeff",
        "{0112233-4455-6677-8899-aabbccddeef}",
        "00112233-4455-6677-8899-aabbccddeefg",
        "001122334-455-6677-8899-aabbccddeeff",
        "00112233-4455-6677-8899-aabbccddeeff0",
    ] {
        assert_eq!(Guid::parse(text), None, "{text}");
    }
}

#[test]
fn two_requests_that_differ_in_one_part_are_never_the_same() {
    let mut targets: Vec<String> = Vec::new();
    for owner in [
        "/me".to_owned(),
        format!("/users/{USER}"),
        format!("/users/{GROUP}"),
        "/users/ada@contoso.example".to_owned(),
        "/users/ada@fabrikam.example".to_owned(),
        "/users/a%23EXT%23@contoso.example".to_owned(),
        "/users/a%2523EXT%2523@contoso.example".to_owned(),
        format!("/groups/{GROUP}"),
    ] {
        for rest in [
            "/photo",
            "/photo/$value",
            "/photos",
            "/photos/48x48",
            "/photos/48x64",
            "/photos/64x48/$value",
            "/photos/48x48/$value",
            "/photo?$select=id",
            "/photo?$select=width",
            "/photo?$select=id,width",
        ] {
            targets.push(format!("{owner}{rest}"));
        }
    }
    for place in [
        format!("/teams/{GROUP}"),
        format!("/team/{GROUP}"),
        format!("/groups/{GROUP}/team"),
        format!("/me/joinedTeams/{GROUP}"),
        format!("/users/{USER}/joinedTeams/{GROUP}"),
        format!("/users/{TEAM}/joinedTeams/{GROUP}"),
        "/me/contacts/AbC=".to_owned(),
        "/me/contacts/aBC=".to_owned(),
        format!("/users/{USER}/contacts/AbC="),
        "/me/contactFolders/F/contacts/AbC=".to_owned(),
        "/me/contactFolders/f/contacts/AbC=".to_owned(),
        "/me/contactFolders/F/childFolders/G/contacts/AbC=".to_owned(),
        "/me/contactFolders/G/childFolders/F/contacts/AbC=".to_owned(),
        "/me/contactFolders/FG/contacts/AbC=".to_owned(),
    ] {
        targets.push(format!("{place}/photo"));
        targets.push(format!("{place}/photo/$value"));
    }
    let mut seen: Vec<(PhotoRequest, String)> = Vec::new();
    for target in targets {
        for version in ["/v1.0", "/beta"] {
            let target = format!("{version}{target}");
            let request = read(&target);
            if let Some((_, twin)) = seen.iter().find(|(other, _)| *other == request) {
                panic!("{target} is taken for {twin}");
            }
            seen.push((request, target));
        }
    }
}

#[test]
fn what_is_printed_of_a_request_names_nobody() {
    for (target, secrets) in [
        (format!("/v1.0/users/{USER}/photo"), vec!["1111", "17"]),
        (
            "/v1.0/users/zoe@contoso.example/photo".to_owned(),
            vec!["zoe", "contoso"],
        ),
        ("/v1.0/users/zoe/photo".to_owned(), vec!["zoe"]),
        ("/v1.0/groups/secret/photo".to_owned(), vec!["secret"]),
        (
            "/v1.0/users/zoe@contoso.example/joinedTeams/secret/photo".to_owned(),
            vec!["zoe", "secret"],
        ),
        (
            "/v1.0/users/zoe@contoso.example/contactFolders/inner/contacts/secret/photo".to_owned(),
            vec!["zoe", "inner", "secret"],
        ),
        (
            "/beta/teamwork/teamTemplates/first/definitions/second/teamDefinition/photo".to_owned(),
            vec!["first", "second"],
        ),
    ] {
        let request = read(&target);
        let plain = format!("{request:?}");
        let pretty = format!("{request:#?}");
        for secret in secrets {
            let hidden = |printed: &str| !printed.contains(secret);
            assert!(hidden(&plain) && hidden(&pretty), "{secret} in {plain}");
        }
    }
}

#[test]
fn an_id_in_two_encodings_is_one_subject() {
    let once = read("/v1.0/users/a%23EXT%23@contoso.example/contacts/C/photo").owner;
    let twice = read("/v1.0/users/a%2523EXT%2523@contoso.example/contacts/C/photo").owner;
    assert_ne!(once, twice);
    assert_eq!(once.subject(), twice.subject());
    assert_eq!(once.subject(), once);
    assert_ne!(once.subject(), PhotoOwner::Me);
}
