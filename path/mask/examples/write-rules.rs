//! Writes `docs/masking-rules.md`: `cargo run -p mask --example write-rules`.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let page = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/masking-rules.md");
    std::fs::write(page, mask::rules_markdown()?)?;
    Ok(())
}
