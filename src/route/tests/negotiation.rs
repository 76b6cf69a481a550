//! Which queries and fields a JSON answer is kept for, and which pass through.

use super::*;
use crate::route::{MetadataLevel, Select};

const METADATA: &str = "/v1.0/me/photo";
const LIST: &str = "/v1.0/me/photos";
const MEDIA: &str = "/v1.0/me/photo/$value";

#[test]
fn a_select_is_the_set_of_properties_it_names() {
    let id = Select {
        id: true,
        ..Select::default()
    };
    let sides = Select {
        width: true,
        height: true,
        ..Select::default()
    };
    for (query, expected) in [
        ("$select=id", id),
        ("%24select=id", id),
        ("$SELECT=id", id),
        ("$select=id,id", id),
        ("$select=width,height", sides),
        ("$select=height,width", sides),
        ("$select=height,%20width", sides),
        ("$select=+height+,+width", sides),
        ("%24select=width%2Cheight", sides),
        ("$select=id,width,height", Select { id: true, ..sides }),
    ] {
        for target in [METADATA, LIST, "/v1.0/me/photo/", "/v1.0/me/photos/48x48"] {
            let request = read(&format!("{target}?{query}"));
            assert_eq!(request.variant.select, Some(expected), "{query}");
        }
    }
}

#[test]
fn any_other_query_passes_through() {
    for query in [
        "$select",
        "$select=",
        "$select=,",
        "$select=id,",
        "$select=*",
        "$select=Id",
        "$select=id;width",
        "$select=id,name",
        "$select=id&$select=id",
        "$select=id&",
        "&$select=id",
        "$select=id%00",
        "$select=%69%2564",
        "$select=id%2Bwidth",
        "select=id",
        "%2524select=id",
        "$%73elect=id",
        "$expand=x",
        "$top=1",
        "$format=json",
        "$count=true",
        "x=1",
        "&",
        "=",
        "$select=id%09,width",
        "$select=id%",
        "$select=id?",
    ] {
        for target in [METADATA, LIST] {
            assert_eq!(
                get(&format!("{target}?{query}")),
                Recognition::Other,
                "{query}"
            );
        }
    }
}

#[test]
fn accept_chooses_the_level_of_annotations() {
    use MetadataLevel::{Full, Minimal, None, Unsaid};
    for (accept, expected) in [
        ("*/*", Unsaid),
        ("application/*", Unsaid),
        ("application/json", Unsaid),
        ("Application/JSON", Unsaid),
        ("application/json;", Unsaid),
        ("application/json, text/plain, */*", Unsaid),
        ("application/octet-stream, application/json", Unsaid),
        (
            "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
            Unsaid,
        ),
        ("application/json;q=0.5;charset=UTF-8", Unsaid),
        ("application/json;odata.metadata=none", None),
        ("application/json; odata.metadata=minimal", Minimal),
        ("application/json;ODATA.METADATA=Full", Full),
        (
            "application/json;odata.metadata=minimal;odata.streaming=true;IEEE754Compatible=false;charset=utf-8",
            Minimal,
        ),
        (
            "application/json;odata.metadata=none,*/*;odata.metadata=none",
            None,
        ),
    ] {
        for target in [METADATA, LIST] {
            match get_with(target, &[("accept", accept)]) {
                Recognition::Read(request) => assert_eq!(request.variant.metadata, expected),
                other => panic!("{accept} is {other:?}"),
            }
        }
    }
    let twice = [("accept", "application/json"), ("accept", "*/*")];
    assert!(matches!(get_with(METADATA, &twice), Recognition::Read(_)));
}

#[test]
fn an_accept_that_asks_for_something_else_passes_through() {
    for accept in [
        "",
        "application/xml",
        "application/atom+xml",
        "text/plain",
        "image/jpeg",
        "application/json;odata.metadata=some",
        "application/json;odata.metadata=none;odata.metadata=full",
        "application/json;odata.metadata=\"none\"",
        "application/json;metadata=none",
        "application/json;odata=nometadata",
        "application/json;IEEE754Compatible=true",
        "application/json;charset=utf-16",
        "application/json;q=0",
        "application/json;q=0.000",
        "application/json;q=2",
        "application/json;q=x",
        "application/json,",
        "application/json,nonsense",
        "application/json;odata.metadata=none, */*",
        "application/json;odata.metadata=none, application/json;odata.metadata=full",
    ] {
        let said = get_with(METADATA, &[("accept", accept)]);
        assert_eq!(said, Recognition::Other, "{accept}");
    }
    let torn = [
        ("accept", "application/json;odata.metadata=none"),
        ("accept", "application/json"),
    ];
    assert_eq!(get_with(METADATA, &torn), Recognition::Other);
    let mut headers = HeaderMap::new();
    headers.insert(
        "accept",
        HeaderValue::from_bytes(b"application/json\xff").unwrap(),
    );
    let said = recognise(&Method::GET, &uri(METADATA), &headers, false);
    assert_eq!(said, Recognition::Other);
}

#[test]
fn accept_never_varies_a_picture() {
    let plain = read(MEDIA);
    for accept in [
        "",
        "image/webp",
        "application/json;odata.metadata=full",
        "\"",
        "*/*;q=0",
    ] {
        let fields = [("accept", accept), ("accept-charset", "utf-16")];
        assert_eq!(
            get_with(MEDIA, &fields),
            Recognition::Read(plain.clone()),
            "{accept}"
        );
    }
}

#[test]
fn fields_that_could_change_the_answer_pass_through() {
    for (name, value) in [
        ("prefer", "IdType=\"ImmutableId\""),
        ("prefer", ""),
        ("odata-version", "4.01"),
        ("odata-maxversion", "3.0"),
        ("maxdataserviceversion", "3.0;NetFx"),
        ("dataserviceversion", "1.0"),
        ("x-original-url", "/v1.0/users/x/photo"),
        ("x-rewrite-url", "/v1.0/users/x/photo"),
    ] {
        for target in [MEDIA, METADATA, LIST] {
            assert_eq!(
                get_with(target, &[(name, value)]),
                Recognition::Other,
                "{name}"
            );
        }
    }
    assert_eq!(
        get_with(METADATA, &[("accept-charset", "utf-8")]),
        Recognition::Other
    );
    let twice = [("odata-version", "4.0"), ("odata-version", "4.01")];
    assert_eq!(get_with(MEDIA, &twice), Recognition::Other);
}

#[test]
fn fields_that_real_clients_send_change_nothing() {
    let fields = [
        ("authorization", "Bearer x"),
        ("odata-version", "4.0"),
        ("odata-maxversion", "4.0"),
        ("accept-language", "de"),
        ("accept-encoding", "gzip, br"),
        ("consistencylevel", "eventual"),
        ("cache-control", "no-store, no-cache"),
        ("pragma", "no-cache"),
        ("sdkversion", "graph-dotnet/5"),
        ("client-request-id", "x"),
        ("content-type", "application/json"),
    ];
    for target in [MEDIA, METADATA, LIST] {
        assert_eq!(get_with(target, &fields), get(target));
    }
}
