//! Writes `docs/config.md` and `docs/portcullis.schema.json` from the tables.

use std::path::Path;

fn main() -> std::io::Result<()> {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
    std::fs::create_dir_all(&docs)?;
    std::fs::write(docs.join("config.md"), config::reference_markdown())?;
    std::fs::write(docs.join("portcullis.schema.json"), format!("{:#}\n", config::json_schema()))
}
