//! Arguments, then settings, then [`graph_photo_proxy::app`]; nothing worth testing lives here.
fn main() {}
