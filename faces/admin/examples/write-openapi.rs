//! Writes docs/openapi.json: `cargo run -p admin --example write-openapi`.

fn main() -> std::io::Result<()> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/openapi.json");
    std::fs::write(path, format!("{:#}\n", admin::openapi_document()))
}
