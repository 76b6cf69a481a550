//! The seed page's examples, the permission tables, the two generations, batches and writes.

use http::header::{CONTENT_TYPE, IF_NONE_MATCH};
use serde_json::json;

use super::*;

fn documented() -> Settings {
    Settings {
        generation: Generation::Documented,
        absent: Absent::OneByOne,
        ..Settings::default()
    }
}

#[tokio::test]
async fn the_seed_pages_examples_come_out_letter_by_letter() {
    let (graph, token) = start(documented());
    let photo = get(&graph, "/beta/me/photo/$value", &token).await;
    assert_eq!(faces::dimensions(&photo.body), Some((240, 240)));
    let small = get(&graph, "/beta/me/photos/48x48/$value", &token).await;
    assert_eq!(faces::dimensions(&small.body), Some((48, 48)));
    let me = get(&graph, "/beta/me/photo", &token).await;
    assert_eq!(
        me.body,
        r#"{"@odata.context":"https://graph.microsoft.com/beta/$metadata#Me/photo/$entity","@odata.id":"https://graph.microsoft.com/beta/users('ddfcd489-628b-7d04-b48b-20075df800e5@1717622f-1d94-c0d4-9d74-f907ad6677b4')/photo","@odata.mediaContentType":"image/jpeg","@odata.mediaEtag":"\"BA09D118\"","id":"240x240","width":240,"height":240}"#
    );
    assert!(me.header("content-type").starts_with("application/json;"));
    graph.remove_photo("ddfcd489-628b-7d04-b48b-20075df800e5");
    let none = get(&graph, "/beta/me/photo", &token).await;
    assert_eq!(none.status, StatusCode::OK);
    assert_eq!(
        none.body,
        r#"{"@odata.context":"https://graph.microsoft.com/beta/$metadata#Me/photo/$entity","@odata.id":"https://graph.microsoft.com/beta/users('ddfcd489-628b-7d04-b48b-20075df800e5@1717622f-1d94-c0d4-9d74-f907ad6677b4')/photo","@odata.mediaContentType":"image/gif","@odata.mediaEtag":"","id":"1x1","width":1,"height":1}"#
    );
    let gone = get(&graph, "/beta/me/photo/$value", &token).await;
    assert_eq!(gone.status, StatusCode::NOT_FOUND);
    let member = graph.tenant().members().next().unwrap();
    let teams = graph.issue(TokenSpec::of(member).with("Team.ReadBasic.All"));
    let path = "/beta/teams/172b0cce-e65d-44ce-9a49-91d9f2e8491e/photo";
    let team = get(&graph, path, &teams).await;
    assert_eq!(
        team.body,
        r#"{"@odata.context":"https://graph.microsoft.com/beta/$metadata#teams('172b0cce-e65d-44ce-9a49-91d9f2e8491e')/photo/$entity","@odata.id":"https://graph.microsoft.com/beta/teams('172b0cce-e65d-44ce-9a49-91d9f2e8491e')/photo","@odata.mediaContentType":"image/jpeg","@odata.mediaEtag":"\"BA09D118\"","id":"240X240","width":240,"height":240}"#
    );
    let bytes = get(&graph, &format!("{path}/$value"), &teams).await;
    assert_eq!(bytes.header("content-type"), "image/jpeg");
}

#[tokio::test]
async fn a_photo_of_504_pixels_has_all_sizes_but_648() {
    let (graph, token) = start(Settings::default());
    let person = graph.tenant().members().nth(1).unwrap().id.clone();
    graph.upload_sized(&person, 504);
    let list = get(&graph, &format!("/v1.0/users/{person}/photos"), &token).await;
    let sides: Vec<u64> = list.json()["value"]
        .as_array()
        .unwrap()
        .iter()
        .map(|photo| photo["width"].as_u64().unwrap())
        .collect();
    assert_eq!(sides, [48, 64, 96, 120, 240, 360, 432, 504]);
    for (size, status) in [("504X504", 200), ("648x648", 404), ("100x100", 404)] {
        let path = format!("/v1.0/users/{person}/photos/{size}/$value");
        assert_eq!(get(&graph, &path, &token).await.status, status, "{size}");
    }
}

#[tokio::test]
async fn the_older_backend_has_its_own_tags_ids_and_404s() {
    let (graph, token) = start(Settings {
        generation: Generation::Older,
        ..Settings::default()
    });
    let person = graph.tenant().members().nth(1).unwrap().id.clone();
    let media = get(
        &graph,
        &format!("/v1.0/users/{person}/photo/$value"),
        &token,
    )
    .await;
    let metadata = get(&graph, &format!("/v1.0/users/{person}/photo"), &token).await;
    assert_eq!(media.header("etag").len(), 10);
    assert_eq!(metadata.json()["@odata.mediaEtag"], media.header("etag"));
    assert_eq!(metadata.json()["id"], "648X648");
    graph.upload_sized(&person, 240);
    let path = format!("/v1.0/users/{person}/photos/648x648/$value");
    let missing = get(&graph, &path, &token).await;
    assert_eq!(missing.header("content-type"), "text/plain");
    graph.remove_photo(&person);
    let none = get(&graph, &format!("/v1.0/users/{person}/photo"), &token).await;
    assert_eq!(none.json()["error"]["code"], "ErrorItemNotFound");
}

#[tokio::test]
async fn who_may_see_whose_photo_follows_the_tables() {
    let (graph, _) = start(Settings::default());
    let tenant = graph.tenant();
    let me = tenant.members().next().unwrap();
    let other = format!("users/{}", tenant.members().nth(1).unwrap().id);
    let guest = tenant.guests().next().unwrap();
    let consumer = tenant.personal().next().unwrap();
    let group = format!("groups/{}", tenant.groups[3].id);
    let team = format!("teams/{}", tenant.teams().next().unwrap().id);
    let contact = format!("me/contacts/{}", tenant.contacts_of(me).next().unwrap().id);
    let of = TokenSpec::of;
    let app = TokenSpec::application;
    for (spec, owner, status) in [
        (of(me).with("User.Read"), "me", 200),
        (of(me).with("User.Read"), &other, 403),
        (of(me).with("User.ReadBasic.All"), &other, 200),
        (of(me).with("Mail.Read"), "me", 403),
        (app(), &other, 200),
        (app(), "me", 400),
        (app().with("Mail.Read"), &other, 403),
        (of(me).with("Group.Read.All"), &group, 200),
        (of(me), &group, 403),
        (app().with("Group.Read.All"), &group, 403),
        (app().with("Team.ReadBasic.All"), &team, 200),
        (of(me).with("Group.Read.All"), &team, 403),
        (of(me).with("Contacts.Read"), &contact, 200),
        (of(me), &contact, 403),
        (of(guest), "me", 200),
        (of(guest), &other, 403),
        (of(consumer).with("User.Read"), "me", 200),
        (of(consumer).with("User.Read"), &other, 404),
        (of(me).in_tenant("another"), &other, 404),
        (of(me).for_audience("https://other.example"), "me", 401),
    ] {
        let token = graph.issue(&spec);
        let got = get(&graph, &format!("/v1.0/{owner}/photo/$value"), &token).await;
        assert_eq!(got.status, status, "{spec:?} {owner}");
    }
    let token = graph.issue(of(me));
    graph.forbid(&me.id, other.trim_start_matches("users/"));
    let got = get(&graph, &format!("/v1.0/{other}/photo/$value"), &token).await;
    assert_eq!(got.status, 403);
}

#[tokio::test]
async fn a_personal_account_may_be_given_its_own_picture_for_anybodys() {
    let (graph, _) = start(Settings {
        own_photo_quirk: true,
        ..Settings::default()
    });
    let consumer = graph.tenant().personal().next().unwrap().clone();
    let other = graph.tenant().members().next().unwrap().id.clone();
    let token = graph.issue(TokenSpec::of(&consumer).with("User.Read"));
    let got = get(&graph, &format!("/beta/users/{other}/photo/$value"), &token).await;
    assert_eq!(mark(&got.body).unwrap().owner, consumer.id);
    let got = get(&graph, &format!("/v1.0/users/{other}/photo/$value"), &token).await;
    assert_eq!(got.status, 404);
}

#[tokio::test]
async fn a_conditional_request_gets_what_the_switch_says() {
    let (graph, token) = start(Settings::default());
    let path = "/v1.0/me/photo/$value";
    let first = get(&graph, path, &token).await;
    let tag = first.header("etag").to_owned();
    let again = || {
        let request = ask(&graph, Method::GET, path, &token).header(IF_NONE_MATCH, &tag);
        async { send(request, "").await.unwrap() }
    };
    assert_eq!(again().await.status, StatusCode::NOT_MODIFIED);
    graph.change(|settings| settings.conditional = Conditional::SameTag);
    assert_eq!(again().await.header("etag"), tag);
    graph.change(|settings| settings.conditional = Conditional::NewTag);
    let other = again().await;
    assert!(other.header("etag") != tag && other.body == first.body);
    graph.change(|settings| settings.conditional = Conditional::NoTag);
    assert_eq!(again().await.header("etag"), "");
    graph.change(|settings| settings.conditional = Conditional::NotModified);
    let me = graph.tenant().members().next().unwrap().id.clone();
    assert_eq!(graph.upload(&me), 2);
    let fresh = again().await;
    assert_eq!(mark(&fresh.body).unwrap().upload, 2);
}

#[tokio::test]
async fn writes_show_everywhere_once_their_delay_is_over() {
    let clock = Clock::by_hand();
    let (graph, _) = start(Settings {
        clock: clock.clone(),
        visibility_delay: Duration::from_secs(60),
        ..Settings::default()
    });
    let me = graph.tenant().members().next().unwrap().clone();
    let all = "User.ReadWrite Team.ReadBasic.All TeamSettings.ReadWrite.All Group.Read.All";
    let token = graph.issue(TokenSpec::of(&me).with(all));
    let path = "/v1.0/me/photo/$value";
    let put = ask(&graph, Method::PUT, path, &token).header(CONTENT_TYPE, "image/jpeg");
    let put = send(put, faces::jpeg("anybody", 1, 360)).await.unwrap();
    assert_eq!(put.status, StatusCode::OK);
    let upload = |got: Got| mark(&got.body).map(|mark| (mark.upload, mark.side));
    assert_eq!(upload(get(&graph, path, &token).await), Some((1, 240)));
    clock.advance(Duration::from_secs(60));
    assert_eq!(upload(get(&graph, path, &token).await), Some((2, 360)));
    let delete = ask(&graph, Method::DELETE, path, &token);
    assert_eq!(send(delete, "").await.unwrap().status, StatusCode::OK);
    clock.advance(Duration::from_secs(60));
    assert_eq!(get(&graph, path, &token).await.status, 404);
    let team = graph.tenant().teams().next().unwrap().id.clone();
    let put = ask(
        &graph,
        Method::PUT,
        &format!("/v1.0/team/{team}/photo/$value"),
        &token,
    );
    assert_eq!(send(put, "x").await.unwrap().status, StatusCode::NO_CONTENT);
    clock.advance(Duration::from_secs(60));
    let group = get(&graph, &format!("/v1.0/groups/{team}/photo/$value"), &token).await;
    assert_eq!(upload(group), Some((2, 648)));
    let small = ask(&graph, Method::PUT, path, &token);
    let small = send(small, faces::jpeg("anybody", 1, 23)).await.unwrap();
    assert_eq!(small.json()["error"]["code"], "ValidationWidthTooSmall");
}

#[tokio::test]
async fn select_and_the_metadata_level_shape_the_json() {
    let (graph, token) = start(Settings::default());
    let narrow = get(&graph, "/v1.0/me/photo?$select=id,width", &token)
        .await
        .json();
    assert!(narrow["height"].is_null() && narrow["width"] == 240);
    let bare = ask(&graph, Method::GET, "/v1.0/me/photo", &token)
        .header("accept", "application/json;odata.metadata=none");
    let bare = send(bare, "").await.unwrap().json();
    assert_eq!(bare, json!({"height": 240, "id": "default", "width": 240}));
}

#[tokio::test]
async fn a_batch_answers_each_part_as_if_it_had_come_alone() {
    let (graph, token) = start(Settings::default());
    let nobody = graph.tenant().without_photo().next().unwrap().id.clone();
    let batch = json!({"requests": [
        {"id": "1", "method": "GET", "url": "/me/photo/$value"},
        {"id": "2", "method": "GET", "url": format!("users/{nobody}/photo/$value")},
        {"id": "3", "method": "GET", "url": "/me", "dependsOn": ["2"]},
        {"id": "4", "method": "GET", "url": "/me?$select=displayName", "dependsOn": ["1"]},
    ]});
    let ask_batch = || ask(&graph, Method::POST, "/v1.0/$batch", &token);
    let got = send(ask_batch(), batch.to_string()).await.unwrap();
    let parts = got.json()["responses"].clone();
    let statuses: Vec<_> = (0..4).map(|at| parts[at]["status"].as_u64()).collect();
    assert_eq!(statuses, [Some(200), Some(404), Some(424), Some(200)]);
    assert_eq!(parts[0]["headers"]["Content-Type"], "image/jpeg");
    assert!(parts[0]["body"].as_str().unwrap().starts_with("/9j/"));
    assert_eq!(parts[1]["body"]["error"]["code"], "ImageNotFound");
    assert_eq!(graph.seen().iter().filter(|seen| seen.batched).count(), 3);
    assert_eq!((graph.count(), graph.photo_calls()), (1, 2));
    let part = |id: usize| json!({"id": id.to_string(), "method": "GET", "url": "/me"});
    for bad in [
        json!({"requests": (0..21).map(part).collect::<Vec<_>>()}),
        json!({"requests": [part(1), part(1)]}),
        json!({"other": 1}),
    ] {
        let got = send(ask_batch(), bad.to_string()).await.unwrap();
        assert_eq!(got.status, StatusCode::BAD_REQUEST);
    }
}

#[tokio::test]
async fn a_browser_is_answered_before_it_shows_a_token() {
    let (graph, _) = start(Settings::default());
    let request = Request::builder()
        .method(Method::OPTIONS)
        .uri(format!("{}/v1.0/me/photo/$value", graph.base_url()))
        .header("origin", "http://app.example")
        .header("access-control-request-headers", "authorization");
    let got = send(request, "").await.unwrap();
    assert_eq!(got.status, StatusCode::OK);
    assert_eq!(got.header("access-control-allow-headers"), "authorization");
    assert_eq!((graph.count(), graph.seen().len()), (0, 1));
}

#[tokio::test]
async fn the_echo_tells_what_arrived() {
    let (graph, _) = start(Settings::default());
    let request = Request::builder()
        .method(Method::POST)
        .uri(format!("{}/v1.0/echo/a%2Fb//c?x=1&x=2", graph.base_url()))
        .header("x-two", "1")
        .header("x-two", "2");
    let got = send(request, "body").await.unwrap().json();
    assert_eq!(got["target"], "/v1.0/echo/a%2Fb//c?x=1&x=2");
    assert_eq!(
        (&got["length"], &got["body"]),
        (&json!(4), &json!("Ym9keQ=="))
    );
    let headers = got["headers"].as_array().unwrap();
    assert!(headers.contains(&json!(["x-two", "1"])) && headers.contains(&json!(["x-two", "2"])));
}
