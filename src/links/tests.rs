use proptest::collection::vec;
use proptest::prelude::*;

use super::json::Rewriter;
use super::*;

const GRAPH: &str = "https://graph.microsoft.com";
const PROXY: &str = "https://photos.example:8443";

fn whole(text: &[u8]) -> Vec<u8> {
    pieces([text])
}

fn pieces<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut rewriter = Rewriter::new(GRAPH, PROXY);
    let mut out = Vec::new();
    for piece in pieces {
        rewriter.push(piece, &mut out);
    }
    rewriter.end(&mut out);
    out
}

#[test]
fn links_under_their_own_keys_name_the_proxy() {
    let ours = "https://photos.example:8443";
    for (text, expected) in [
        (
            r#"{"@odata.nextLink":"https://graph.microsoft.com/v1.0/users?$skiptoken=X"}"#,
            format!(r#"{{"@odata.nextLink":"{ours}/v1.0/users?$skiptoken=X"}}"#),
        ),
        (
            r#"{"value":[{"members@odata.nextLink" : "HTTPS://Graph.Microsoft.com/a"}],"@odata.deltaLink":"https://graph.microsoft.com"}"#,
            format!(
                r#"{{"value":[{{"members@odata.nextLink" : "{ours}/a"}}],"@odata.deltaLink":"{ours}"}}"#
            ),
        ),
        (
            r#"{"\u0040odata.next\u004Cink":"https:\/\/graph.microsoft.com\/v1.0"}"#,
            format!(r#"{{"\u0040odata.next\u004Cink":"{ours}\/v1.0"}}"#),
        ),
        (
            r#"{"@odata.nextLink":"https:\u002f\u002Fgraph\u002emicrosoft.com\u002fv1.0\u00e9"}"#,
            format!(r#"{{"@odata.nextLink":"{ours}\u002fv1.0\u00e9"}}"#),
        ),
        (
            "[{\"@odata.nextLink\":\t\"https://graph.microsoft.com?x\"}, 1.5e3, true]",
            format!("[{{\"@odata.nextLink\":\t\"{ours}?x\"}}, 1.5e3, true]"),
        ),
    ] {
        assert_eq!(String::from_utf8(whole(text.as_bytes())).unwrap(), expected);
    }
}

#[test]
fn everything_else_is_handed_on_to_the_byte() {
    let deep = format!("{}{{\"@odata.nextLink\":\"{GRAPH}/a\"}}", "[".repeat(200));
    let long = format!("{{\"{}@odata.nextLink\":\"{GRAPH}/a\"}}", "k".repeat(400));
    for text in [
        r#"{"@odata.context":"https://graph.microsoft.com/v1.0/$metadata"}"#,
        r#"{"note":"\"@odata.nextLink\":\"https://graph.microsoft.com/\""}"#,
        r#"{"@odata.nextLink":"https://graph.microsoft.com.evil.example/"}"#,
        r#"{"@odata.nextLink":"https://graph.microsoft.com:8443/"}"#,
        r#"{"@odata.nextLink":"https://graph.microsoft.com@evil.example/"}"#,
        r#"{"@odata.nextLink":"https://graph.microsoft.com\\evil.example/"}"#,
        r#"{"@odata.nextLink":"http://graph.microsoft.com/"}"#,
        r#"{"@odata.nextLink":" https://graph.microsoft.com/"}"#,
        r#"{"@odata.nextLink":["https://graph.microsoft.com/"]}"#,
        r#"{"@odata.nextLink":{"a":"https://graph.microsoft.com/"}}"#,
        r#"{"@odata.nextLink":null,"a":"https://graph.microsoft.com/"}"#,
        r#"{"@odata.nextlink":"https://graph.microsoft.com/"}"#,
        r#"["@odata.nextLink":"https://graph.microsoft.com/"]"#,
        r#"["@odata.nextLink","https://graph.microsoft.com/"]"#,
        r#""@odata.nextLink":"https://graph.microsoft.com/""#,
        r#"{"a":1}{"@odata.nextLink":"https://graph.microsoft.com/"}"#,
        r#"{,"@odata.nextLink":"https://graph.microsoft.com/"}"#,
        r#"{"a":\,"@odata.nextLink":"https://graph.microsoft.com/"}"#,
        r#"{"a":"\q","@odata.nextLink":"https://graph.microsoft.com/"}"#,
        "{\"a\":\"\n\",\"@odata.nextLink\":\"https://graph.microsoft.com/\"}",
        "\u{feff}{\"@odata.nextLink\":\"https://graph.microsoft.com/\"}",
        r#"{"@odata.nextLink":"https://graph.micro"#,
        r#"{"@odata.nextLink":"https://graph.microsoft.com"#,
        r#"{"@odata.nextLink":"https:\u00"#,
        "<html>",
        "",
        deep.as_str(),
        long.as_str(),
    ] {
        assert_eq!(String::from_utf8(whole(text.as_bytes())).unwrap(), text);
    }
}

/// JSON whose keys and texts are often nearly links.
fn value() -> impl Strategy<Value = serde_json::Value> {
    let words = prop_oneof![
        Just("@odata.nextLink".to_owned()),
        Just("x@odata.deltaLink".to_owned()),
        Just("@odata.context".to_owned()),
        Just(format!("{GRAPH}/v1.0/users")),
        Just(format!("{GRAPH}.evil.example/")),
        Just(GRAPH.to_owned()),
        ".*",
    ];
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        words.clone().prop_map(Into::into),
    ];
    leaf.prop_recursive(5, 40, 6, move |inner| {
        prop_oneof![
            vec(inner.clone(), 0..6).prop_map(serde_json::Value::Array),
            vec((words.clone(), inner), 0..6)
                .prop_map(|pairs| serde_json::Value::Object(pairs.into_iter().collect())),
        ]
    })
}

/// What must come of it, as whoever reads the JSON sees it.
fn expected(value: &serde_json::Value) -> serde_json::Value {
    use serde_json::Value::{Array, Object, String};
    let links = Links::new(&GRAPH.parse().unwrap(), &PROXY.parse().unwrap());
    match value {
        Array(all) => all.iter().map(expected).collect(),
        Object(all) => all
            .iter()
            .map(|(key, value)| {
                let named = ["@odata.nextLink", "@odata.deltaLink"];
                let value = match value {
                    String(text) if named.iter().any(|name| key.ends_with(name)) => {
                        let ours = links.link(text.as_bytes());
                        let ours = ours.map(|link| std::string::String::from_utf8(link).unwrap());
                        String(ours.unwrap_or_else(|| text.clone()))
                    }
                    other => expected(other),
                };
                (key.clone(), value)
            })
            .collect::<serde_json::Map<_, _>>()
            .into(),
        other => other.clone(),
    }
}

proptest! {
    #[test]
    fn a_reader_sees_the_same_but_for_the_links(value in value(), pretty: bool) {
        let text = if pretty {
            serde_json::to_vec_pretty(&value).unwrap()
        } else {
            serde_json::to_vec(&value).unwrap()
        };
        let said: serde_json::Value = serde_json::from_slice(&whole(&text)).unwrap();
        let expected = expected(&value);
        prop_assert_eq!(&said, &expected);
        if expected == value {
            prop_assert_eq!(whole(&text), text);
        }
    }

    #[test]
    fn however_it_is_cut_the_same_comes_out(value in value(), damage: Option<(prop::sample::Index, u8)>, cuts in vec(any::<prop::sample::Index>(), 0..20)) {
        let mut text = serde_json::to_vec(&value).unwrap();
        if let Some((at, byte)) = damage {
            let at = at.index(text.len());
            text[at] = byte;
        }
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(text.len() + 1)).collect();
        cuts.extend([0, text.len()]);
        cuts.sort_unstable();
        let parts = cuts.windows(2).map(|pair| &text[pair[0]..pair[1]]);
        prop_assert_eq!(pieces(parts), whole(&text));
        prop_assert_eq!(pieces(text.chunks(1)), whole(&text));
    }

    #[test]
    fn bytes_without_such_keys_are_handed_on(text in vec(any::<u8>(), 0..300)) {
        prop_assert_eq!(whole(&text), text);
    }
}

#[test]
fn fields_that_are_links_name_the_proxy() {
    let links = Links::new(&GRAPH.parse().unwrap(), &PROXY.parse().unwrap());
    for (name, value, expected) in [
        (
            "location",
            "https://graph.microsoft.com/v1.0/x",
            "https://photos.example:8443/v1.0/x",
        ),
        (
            "location",
            "https://GRAPH.microsoft.com",
            "https://photos.example:8443",
        ),
        (
            "content-location",
            "https://graph.microsoft.com/a?b",
            "https://photos.example:8443/a?b",
        ),
        (
            "location",
            "https://graph.microsoft.com.evil/",
            "https://graph.microsoft.com.evil/",
        ),
        ("location", "/v1.0/x", "/v1.0/x"),
        (
            "location",
            "https://tenant.sharepoint.com/x?u=https://graph.microsoft.com/",
            "https://tenant.sharepoint.com/x?u=https://graph.microsoft.com/",
        ),
        (
            "link",
            "<https://graph.microsoft.com/a>; rel=\"next\"; title=\"<https://graph.microsoft.com/\\\"b>\", <https://graph.microsoft.com/c>",
            "<https://photos.example:8443/a>; rel=\"next\"; title=\"<https://graph.microsoft.com/\\\"b>\", <https://photos.example:8443/c>",
        ),
        (
            "link",
            "<https://graph.microsoft.com/a",
            "<https://photos.example:8443/a",
        ),
        (
            "x-link",
            "https://graph.microsoft.com/",
            "https://graph.microsoft.com/",
        ),
    ] {
        let mut fields = HeaderMap::new();
        fields.insert(HeaderName::from_static(name), value.parse().unwrap());
        links.fields(&mut fields);
        assert_eq!(fields[name], expected, "{name}");
    }
}

#[test]
fn only_whole_plain_json_is_read() {
    for (name, value, expected) in [
        ("content-type", "application/json", true),
        (
            "content-type",
            "Application/JSON;odata.metadata=minimal; charset=\"UTF-8\"",
            true,
        ),
        ("content-type", "application/json;charset=utf-16", false),
        ("content-type", "application/json-seq", false),
        ("content-type", "text/plain", false),
        ("content-encoding", "gzip", false),
        ("content-encoding", "identity", true),
        ("cache-control", "private, no-transform", false),
        ("cache-control", "private", true),
    ] {
        let mut fields = HeaderMap::new();
        fields.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        );
        fields.insert(
            HeaderName::from_static(name),
            HeaderValue::from_static(value),
        );
        assert_eq!(may_be_read(&fields), expected, "{name}: {value}");
    }
}
