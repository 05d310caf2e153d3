//! Writes docs/errors.md from the table of codes.

fn main() -> std::io::Result<()> {
    std::fs::write("docs/errors.md", model::Code::reference())
}
