//! How problems look to people: the place, the line, a caret, what was expected.

use std::fmt;

use super::{Location, Problems, problems::Diagnostic, sensitive};

/// More problems than this are counted, not shown.
const SHOWN: usize = 100;
/// Longer lines are cut around the column.
const LINE_WIDTH: usize = 120;

impl fmt::Display for Problems {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sorted = self.sorted();
        for diagnostic in sorted.iter().take(SHOWN) {
            diagnostic.fmt(formatter)?;
        }
        if let Some(more) = sorted.len().checked_sub(SHOWN).filter(|more| *more > 0) {
            writeln!(formatter, "… and {more} more")?;
        }
        Ok(())
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { severity, location, message, notes, concealed } = self;
        writeln!(formatter, "{location}: {severity}: {message}")?;
        let margin = if location.line > 0 { excerpt(formatter, location, *concealed)? } else { 1 };
        for note in notes {
            writeln!(formatter, "{:margin$} = {note}", "")?;
        }
        Ok(())
    }
}

/// Shows the line with a caret below the column; answers the width of the margin.
fn excerpt(
    formatter: &mut fmt::Formatter<'_>,
    location: &Location,
    concealed: bool,
) -> Result<usize, fmt::Error> {
    let number = location.line.to_string();
    let margin = number.len() + 1;
    let line = sensitive::conceal_line(&location.source, location.line, concealed);
    let column = usize::try_from(location.column).unwrap_or(1).saturating_sub(1);
    let skipped = if column > LINE_WIDTH - 20 { column - LINE_WIDTH / 2 } else { 0 };
    let mut shown: String = line
        .chars()
        .skip(skipped)
        .take(LINE_WIDTH)
        .map(|character| if character.is_control() { ' ' } else { character })
        .collect();
    if skipped > 0 {
        shown.insert_str(0, "… ");
    }
    if line.chars().count() > skipped + LINE_WIDTH {
        shown.push_str(" …");
    }
    let indent = column - skipped + if skipped > 0 { 2 } else { 0 };
    // A concealed value may be shorter than the column.
    let indent = indent.min(shown.chars().count());
    writeln!(formatter, " {number} | {}", shown.trim_end())?;
    writeln!(formatter, "{:margin$} | {:indent$}^", "", "")?;
    Ok(margin)
}
