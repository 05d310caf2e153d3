//! Words leave the full-text index with the bodies they stood in: what was dropped is not found any more.

use sqlx::SqliteConnection;

use crate::index::number;
use crate::leaf::Span;
use crate::rows::{Row, Statement, count, text};

pub(crate) const SPOKEN: Statement =
    Statement { before: "INSERT OR IGNORE INTO spoken (class, segment, n) ", after: "" };

/// The segments that the words of exchange `n` stand in.
pub(crate) fn places(n: i64, span: &Span) -> impl Iterator<Item = Row> {
    // What a damaged leaf states is not believed beyond this.
    const SPAN: u64 = 1 << 16;
    let last = span.end_segment.min(span.first_segment.saturating_add(SPAN));
    (span.first_segment..=last).map(move |segment| vec![text(&*span.class), count(number(segment)), count(n)])
}

/// Forgets the words of every exchange that had some in one of these segments.
pub(crate) async fn silence(
    all: &mut SqliteConnection,
    dropped: &[(String, i64)],
) -> Result<(), sqlx::Error> {
    const WORDS: &str =
        "DELETE FROM texts WHERE rowid IN (SELECT n FROM spoken WHERE class = ? AND segment = ?)";
    const PLACES: &str = "DELETE FROM spoken WHERE class = ? AND segment = ?";
    let mut some = false;
    for (class, segment) in dropped {
        sqlx::query(WORDS).bind(class).bind(segment).execute(&mut *all).await?;
        let gone = sqlx::query(PLACES).bind(class).bind(segment).execute(&mut *all).await?;
        some |= gone.rows_affected() > 0;
    }
    if some {
        // Until it is merged, the index only marks them as gone.
        sqlx::query("INSERT INTO texts (texts) VALUES ('optimize')").execute(all).await?;
    }
    Ok(())
}
