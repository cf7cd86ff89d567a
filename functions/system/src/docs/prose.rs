//! Descriptions, which OpenAPI writes in `CommonMark`: paragraphs, bullet lists, fenced code, code
//! spans, strong text and links. Anything else is shown as it is written; HTML is text.

use maud::{Markup, html};

/// A text of several paragraphs.
pub(super) fn blocks(text: &str) -> Markup {
    html! {
        @for block in read_blocks(text) {
            @match block {
                Block::Paragraph(text) => p { (inline(&text)) },
                Block::List(items) => ul { @for item in items { li { (inline(&item)) } } },
                Block::Code(code) => pre { code { (code) } },
            }
        }
    }
}

/// A text within a line.
pub(super) fn inline(text: &str) -> Markup {
    html! {
        @for piece in Pieces(text) {
            @match piece {
                Piece::Text(text) => (text),
                Piece::Code(code) => code { (code) },
                Piece::Strong(text) => strong { (text) },
                Piece::Link { text, target } => a href=(target) { (inline(text)) },
            }
        }
    }
}

enum Block {
    Paragraph(String),
    List(Vec<String>),
    Code(String),
}

fn read_blocks(text: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut continues = false;
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let trimmed = line.trim();
        let item = trimmed
            .strip_prefix("- ")
            .or_else(|| trimmed.strip_prefix("* "));
        if trimmed.starts_with("```") {
            let code: Vec<&str> = lines
                .by_ref()
                .take_while(|line| !line.trim().starts_with("```"))
                .collect();
            blocks.push(Block::Code(code.join("\n")));
        } else if let Some(item) = item {
            match blocks.last_mut() {
                Some(Block::List(items)) => items.push(item.to_owned()),
                _ => blocks.push(Block::List(vec![item.to_owned()])),
            }
        } else if !trimmed.is_empty() {
            match blocks.last_mut().filter(|_| continues) {
                Some(Block::Paragraph(text)) => append(text, trimmed),
                Some(Block::List(items)) if !items.is_empty() => {
                    items
                        .iter_mut()
                        .last()
                        .into_iter()
                        .for_each(|item| append(item, trimmed));
                }
                _ => blocks.push(Block::Paragraph(trimmed.to_owned())),
            }
        }
        continues = !trimmed.is_empty() && !trimmed.starts_with("```");
    }
    blocks
}

fn append(text: &mut String, line: &str) {
    text.push(' ');
    text.push_str(line);
}

enum Piece<'a> {
    Text(&'a str),
    Code(&'a str),
    Strong(&'a str),
    Link { text: &'a str, target: &'a str },
}

/// The pieces of a line, one after the other.
struct Pieces<'a>(&'a str);

impl<'a> Iterator for Pieces<'a> {
    type Item = Piece<'a>;

    fn next(&mut self) -> Option<Piece<'a>> {
        if self.0.is_empty() {
            return None;
        }
        if let Some((piece, rest)) = marked(self.0) {
            self.0 = rest;
            return Some(piece);
        }
        let plain = self.0.char_indices().map(|(at, _)| at).skip(1);
        let end = plain
            .into_iter()
            .find(|&at| marked(&self.0[at..]).is_some());
        let (text, rest) = self.0.split_at(end.unwrap_or(self.0.len()));
        self.0 = rest;
        Some(Piece::Text(text))
    }
}

/// The marked-up piece that a text begins with, and what follows it.
fn marked(text: &str) -> Option<(Piece<'_>, &str)> {
    if let Some(rest) = text.strip_prefix('`') {
        let (code, rest) = rest.split_once('`')?;
        return (!code.is_empty()).then_some((Piece::Code(code), rest));
    }
    if let Some(rest) = text.strip_prefix("**") {
        let (strong, rest) = rest.split_once("**")?;
        return (!strong.is_empty()).then_some((Piece::Strong(strong), rest));
    }
    let (text, rest) = text.strip_prefix('[')?.split_once("](")?;
    let (target, rest) = rest.split_once(')')?;
    let is_link = !text.contains(['[', ']']) && leads_somewhere_harmless(target);
    is_link.then_some((Piece::Link { text, target }, rest))
}

fn leads_somewhere_harmless(target: &str) -> bool {
    ["/", "#", "https://", "http://", "mailto:"]
        .iter()
        .any(|start| target.starts_with(start))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_marked_up_is_shown_so() {
        for (text, expected) in [
            ("plain", "<p>plain</p>"),
            ("one\ntwo\n\nthree", "<p>one two</p><p>three</p>"),
            (
                "- a\n- b\n  more\n\nend",
                "<ul><li>a</li><li>b more</li></ul><p>end</p>",
            ),
            ("see:\n- `a`", "<p>see:</p><ul><li><code>a</code></li></ul>"),
            ("use `x < y` now", "<p>use <code>x &lt; y</code> now</p>"),
            ("a **b** c", "<p>a <strong>b</strong> c</p>"),
            (
                "[docs](/docs), really",
                "<p><a href=\"/docs\">docs</a>, really</p>",
            ),
            (
                "```sh\na\n\n b\n```\nc",
                "<pre><code>a\n\n b</code></pre><p>c</p>",
            ),
        ] {
            assert_eq!(blocks(text).into_string(), expected, "{text}");
        }
    }

    #[test]
    fn what_is_not_mark_up_is_text() {
        for (text, expected) in [
            ("<b>bold</b>", "&lt;b&gt;bold&lt;/b&gt;"),
            ("a ` b", "a ` b"),
            ("2 ** 3", "2 ** 3"),
            ("``", "``"),
            ("[x](javascript:alert(1))", "[x](javascript:alert(1))"),
            ("[x](data:text/html,y)", "[x](data:text/html,y)"),
            ("items[0] (first)", "items[0] (first)"),
            ("é`ü`", "é<code>ü</code>"),
            ("[a](/\"onclick=x)", "<a href=\"/&quot;onclick=x\">a</a>"),
        ] {
            assert_eq!(inline(text).into_string(), expected, "{text}");
        }
    }
}
