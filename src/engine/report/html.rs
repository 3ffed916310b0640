//! A page of HTML as it is written: no script, nothing that is fetched.

use super::chart::STYLE;
use super::page::Facts;
use super::picture::{Picture, Table};
use super::words::escaped;
use std::fmt::Write;

const LAYOUT: &str = "*{box-sizing:border-box}body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.55 system-ui,sans-serif}\
main{max-width:1040px;margin:0 auto;padding:24px}h1{font-size:1.9rem;margin:.2em 0}h2{font-size:1.35rem;margin:2em 0 .5em;\
border-bottom:1px solid var(--grid);padding-bottom:.2em}h3{font-size:1.05rem;margin:.2em 0}.soft{color:var(--soft)}\
.lead{font-size:1.08rem}.pictures{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(440px,100%),1fr));gap:24px}\
figure{margin:0;break-inside:avoid}figure svg{width:100%;height:auto}figcaption{color:var(--soft);font-size:.95rem}\
.scroll{overflow-x:auto}table{border-collapse:collapse;width:100%;font-size:.95rem}caption{text-align:left;color:var(--soft);padding:.3em 0}\
th,td{text-align:left;padding:.3em .7em .3em 0;border-bottom:1px solid var(--grid);vertical-align:top;overflow-wrap:break-word}\
thead th{color:var(--soft);font-weight:600}dt{color:var(--soft)}dd{margin:0 0 .5em;overflow-wrap:anywhere}summary{cursor:pointer;color:var(--soft)}\
dl{columns:2 300px}dl div{break-inside:avoid}a:focus-visible,summary:focus-visible,.scroll:focus-visible{outline:2px solid var(--s1)}\
@media print{main{max-width:none;padding:0}body{font-size:11pt}h2{break-after:avoid}.pictures{grid-template-columns:1fr 1fr}tr{break-inside:avoid}\
.scroll{overflow:visible}}";

pub(super) struct Page {
    html: String,
}

impl Page {
    pub fn section(&mut self, id: &str, title: &str) {
        let _ = write!(
            self.html,
            "</section><section aria-labelledby=\"{id}\"><h2 id=\"{id}\">{}</h2>",
            escaped(title)
        );
    }

    pub fn say(&mut self, words: &str) {
        let _ = write!(self.html, "<p dir=\"auto\">{}</p>", escaped(words));
    }

    pub fn table(&mut self, caption: &str, table: &Table) {
        // A region that scrolls can be reached by keyboard and says what it is.
        let _ = write!(
            self.html,
            "<div class=\"scroll\" role=\"region\" tabindex=\"0\" aria-label=\"{0}\"><table><caption>{0}</caption><thead><tr>",
            escaped(caption)
        );
        for name in &table.head {
            let _ = write!(self.html, "<th scope=\"col\">{}</th>", escaped(name));
        }
        self.html.push_str("</tr></thead><tbody>");
        for row in &table.rows {
            self.html.push_str("<tr>");
            for (at, text) in row.iter().enumerate() {
                let text = escaped(text);
                let _ = match at {
                    0 => write!(self.html, "<th scope=\"row\" dir=\"auto\">{text}</th>"),
                    _ => write!(self.html, "<td dir=\"auto\">{text}</td>"),
                };
            }
            self.html.push_str("</tr>");
        }
        self.html.push_str("</tbody></table></div>");
    }

    pub fn pictures(&mut self, pictures: &[Picture]) {
        self.html.push_str("<div class=\"pictures\">");
        for own in pictures {
            let _ = write!(
                self.html,
                "<figure><h3 dir=\"auto\">{}</h3>{}<figcaption dir=\"auto\">{}</figcaption>",
                escaped(&own.title),
                own.inner(),
                escaped(&own.says)
            );
            self.folded(&format!("The numbers of: {}", own.title), &own.table);
            self.html.push_str("</figure>");
        }
        self.html.push_str("</div>");
    }

    pub fn facts(&mut self, facts: &[(&str, String)]) {
        self.html.push_str("<dl>");
        for (name, value) in facts.iter().filter(|(_, value)| !value.is_empty()) {
            let _ = write!(
                self.html,
                "<div><dt>{name}</dt><dd dir=\"auto\">{}</dd></div>",
                escaped(value)
            );
        }
        self.html.push_str("</dl>");
    }

    pub fn new(facts: &Facts, lines: &[String]) -> Page {
        let title = escaped(&facts.model);
        let mut page = Page {
            html: format!(
                "<!DOCTYPE html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none';style-src 'unsafe-inline'\"><meta name=\"color-scheme\" content=\"light dark\">\
<title>Model {title}</title><style>{STYLE}{LAYOUT}</style></head><body><main><header><h1 dir=\"auto\">Model {title}</h1>"
            ),
        };
        let state = if facts.deployed { ", deployed" } else { "" };
        let _ = write!(
            page.html,
            "<p class=\"soft\" dir=\"auto\">Version {}{state}, trained {} by {}; written {}.</p></header><section aria-labelledby=\"summary\"><h2 id=\"summary\">In short</h2>",
            facts.version,
            escaped(&facts.created_at),
            escaped(&facts.created_by),
            escaped(&facts.written_at)
        );
        for line in lines {
            let _ = write!(
                page.html,
                "<p class=\"lead\" dir=\"auto\">{}</p>",
                escaped(line)
            );
        }
        page
    }

    /// What is folded away until it is asked for.
    pub fn folded(&mut self, title: &str, table: &Table) {
        let _ = write!(self.html, "<details><summary>{}</summary>", escaped(title));
        self.table(title, table);
        self.html.push_str("</details>");
    }

    pub fn end(mut self) -> String {
        self.html.push_str("</section></main></body></html>\n");
        self.html
    }
}
