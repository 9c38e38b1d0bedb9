//! Every kind of diagnostic that this crate makes.

crate::codes! {
    UNEXPECTED_TOKEN = "unexpected-token", "something stands where something else is expected";
}
