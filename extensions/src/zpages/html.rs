//! Plain HTML: a page, a table, text that cannot break out of it.

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:60rem;padding:0 1rem}\
table{border-collapse:collapse;width:100%}th,td{text-align:left;vertical-align:top;padding:.4rem .8rem;\
border-bottom:1px solid #ddd}th{font-weight:600}.bad{color:#b00020}nav a{margin-right:1rem}\
@media(prefers-color-scheme:dark){body{background:#16181d;color:#e6e6e6}a{color:#8ab4f8}\
th,td{border-color:#333}.bad{color:#ff8a80}}";

/// The pages, with what they are called.
pub(super) const PAGES: [(&str, &str); 5] = [
    ("/debug/servicez", "Service"),
    ("/debug/pipelinez", "Pipelines"),
    ("/debug/extensionz", "Extensions"),
    ("/debug/featurez", "Feature gates"),
    ("/debug/tracez", "Traces"),
];

/// A whole page around this body.
pub(super) fn page(title: &str, body: &str) -> String {
    let links: String = PAGES.iter().map(|(path, name)| format!("<a href=\"{path}\">{name}</a>")).collect();
    let title = escaped(title);
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title} - Sluice</title>\
         <style>{STYLE}</style></head>\n<body><nav>{links}</nav>\n<h1>{title}</h1>\n{body}\n</body></html>\n"
    )
}

/// A table; cells are HTML.
pub(super) fn table(heads: &[&str], rows: &[Vec<String>]) -> String {
    let cells = |tag: &str, cells: &mut dyn Iterator<Item = &str>| -> String {
        cells.map(|cell| format!("<{tag}>{cell}</{tag}>")).collect()
    };
    let mut table = format!("<table>\n<tr>{}</tr>\n", cells("th", &mut heads.iter().copied()));
    for row in rows {
        table.push_str(&format!("<tr>{}</tr>\n", cells("td", &mut row.iter().map(String::as_str))));
    }
    table + "</table>"
}

/// Text as HTML.
pub(super) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
