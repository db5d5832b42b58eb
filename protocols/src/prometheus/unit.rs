//! Units of UCUM as the words that end the names of metrics.

/// A unit in words, such as `meters` `per` `second`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unit {
    /// What is measured; empty if the unit has no word for it.
    pub main: String,
    /// What it is measured by, singular; empty if the unit is no rate.
    pub per: String,
}

impl Unit {
    /// The words for a unit. What stands in braces is an annotation and has none; a unit that is not known stands for
    /// itself.
    #[must_use]
    pub fn of(ucum: &str) -> Self {
        let (main, per) = ucum.split_once('/').unwrap_or((ucum, ""));
        let (main, per) = (main.trim(), per.trim());
        Self {
            main: if is_annotation(main) { String::new() } else { clean(plural(main)) },
            per: if is_annotation(per) { String::new() } else { clean(singular(per)) },
        }
    }
}

fn is_annotation(part: &str) -> bool {
    part.contains(['{', '}'])
}

/// Only what a metric name may have, without runs of underscores.
fn clean(word: &str) -> String {
    let parts = word.split(|character: char| !character.is_ascii_alphanumeric() && character != ':');
    parts.filter(|part| !part.is_empty()).collect::<Vec<_>>().join("_")
}

fn plural(unit: &str) -> &str {
    match unit {
        "d" => "days",
        "h" => "hours",
        "min" => "minutes",
        "s" => "seconds",
        "ms" => "milliseconds",
        "us" => "microseconds",
        "ns" => "nanoseconds",
        "By" => "bytes",
        "KiBy" => "kibibytes",
        "MiBy" => "mebibytes",
        "GiBy" => "gibibytes",
        // As the Collector spells it, so that the series of both are one.
        "TiBy" => "tibibytes",
        "KBy" => "kilobytes",
        "MBy" => "megabytes",
        "GBy" => "gigabytes",
        "TBy" => "terabytes",
        "m" => "meters",
        "V" => "volts",
        "A" => "amperes",
        "J" => "joules",
        "W" => "watts",
        "g" => "grams",
        "Cel" => "celsius",
        "Hz" => "hertz",
        "%" => "percent",
        "1" => "",
        other => other,
    }
}

fn singular(unit: &str) -> &str {
    match unit {
        "s" => "second",
        "m" => "minute",
        "h" => "hour",
        "d" => "day",
        "w" => "week",
        "mo" => "month",
        "y" => "year",
        other => other,
    }
}
