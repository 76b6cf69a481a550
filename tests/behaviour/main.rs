//! What the product promises, tried through its sockets. One file per promise.

mod fewer_calls;
mod operator;
mod settings;
mod support;
