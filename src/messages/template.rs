//! Finished English texts matched against msgids, and translations filled with what stood in the placeholders.
//!
//! A msgid is a text in which `%s`, or `%1$s`, `%2$s` where there are several, stand for what differs, and `%%` for `%`.

/// Texts longer than this are not looked at: no message is.
const LONGEST: usize = 10_000;
/// How deep a placeholder may hold messages that hold messages.
const DEEPEST: usize = 3;
/// How many msgids are tried for what stands in a placeholder.
const TRIED: usize = 4;

/// A msgid or a translation, cut at its placeholders.
struct Template {
    /// What stands before, between and behind the placeholders: one more than there are.
    pieces: Vec<String>,
    /// Which value each placeholder is for, from 0.
    order: Vec<usize>,
}

impl Template {
    fn read(text: &str) -> Template {
        let (mut pieces, mut order) = (vec![String::new()], Vec::new());
        let mut rest = text;
        while let Some(at) = rest.find('%') {
            push(&mut pieces, &rest[..at]);
            rest = &rest[at + 1..];
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            if let Some(after) = rest.strip_prefix('s') {
                order.push(0);
                pieces.push(String::new());
                rest = after;
            } else if digits > 0
                && let Some(after) = rest[digits..].strip_prefix("$s")
                && let Ok(number @ 1..) = rest[..digits].parse::<usize>()
            {
                order.push(number - 1);
                pieces.push(String::new());
                rest = after;
            } else {
                push(&mut pieces, "%");
                rest = rest.strip_prefix('%').unwrap_or(rest);
            }
        }
        push(&mut pieces, rest);
        Template { pieces, order }
    }

    /// How many characters are not placeholders; 0 where there is no letter: such a frame fits nearly anything.
    fn literal(&self) -> usize {
        match self.pieces.iter().any(|piece| letters(piece) > 0) {
            true => self.pieces.iter().map(|piece| piece.chars().count()).sum(),
            false => 0,
        }
    }

    /// What stands in the placeholders of a text that was made of this msgid, by number.
    fn values<'t>(&self, text: &'t str) -> Option<Vec<&'t str>> {
        let (first, others) = self.pieces.split_first()?;
        let mut rest = text.strip_prefix(first.as_str())?;
        let Some((last, between)) = others.split_last() else {
            return rest.is_empty().then(Vec::new);
        };
        let mut found = Vec::with_capacity(self.order.len());
        for piece in between {
            let at = rest.find(piece.as_str())?;
            found.push(&rest[..at]);
            rest = &rest[at + piece.len()..];
        }
        found.push(rest.strip_suffix(last.as_str())?);
        let mut values = vec![""; found.len()];
        for (value, place) in found.into_iter().zip(&self.order) {
            *values.get_mut(*place)? = value;
        }
        Some(values)
    }

    /// Whether a value stands between quotes: then it is a name that somebody gave, whatever it says.
    fn quotes(&self, value: usize) -> bool {
        let Some(at) = self.order.iter().position(|place| *place == value) else {
            return false;
        };
        let quoted =
            |mark| self.pieces[at].ends_with(mark) && self.pieces[at + 1].starts_with(mark);
        quoted('"') || quoted('\'')
    }

    /// The text with these values; `None` where it asks for others.
    fn fill(&self, values: &[String]) -> Option<String> {
        let mut text = self.pieces[0].clone();
        for (place, piece) in self.order.iter().zip(&self.pieces[1..]) {
            text.push_str(values.get(*place)?);
            text.push_str(piece);
        }
        Some(text)
    }
}

fn letters(text: &str) -> usize {
    text.bytes().filter(u8::is_ascii_alphabetic).count()
}

fn push(pieces: &mut [String], text: &str) {
    if let Some(last) = pieces.last_mut() {
        last.push_str(text);
    }
}

/// All msgids, those with the most literal characters first.
pub struct Templates(Vec<(String, Template)>);

impl Templates {
    /// Reads a list of one msgid a line.
    pub fn read(list: &str) -> Templates {
        let read = |msgid: &str| (msgid.to_owned(), Template::read(msgid));
        let mut all: Vec<_> = list.lines().filter(|l| !l.is_empty()).map(read).collect();
        all.sort_by_key(|(_, own)| (std::cmp::Reverse(own.literal()), own.order.len()));
        Templates(all)
    }

    /// A text in another language; `None` where no msgid fits it or `lookup` does not know the one that does.
    pub fn translate(&self, text: &str, lookup: &dyn Fn(&str) -> Option<String>) -> Option<String> {
        if text.len() > LONGEST {
            return None;
        }
        self.whole(text, lookup, 0)
    }

    /// By the first msgid that fits; within others by one of the first, the one that leaves the fewest letters.
    fn whole(
        &self,
        text: &str,
        lookup: &dyn Fn(&str) -> Option<String>,
        depth: usize,
    ) -> Option<String> {
        let mut fits = self
            .0
            .iter()
            .filter_map(|(msgid, own)| Some((msgid, own, own.values(text)?)));
        let say = |(msgid, own, values): (&String, &Template, Vec<&str>)| {
            self.said(msgid, own, &values, lookup, depth)
        };
        if depth == 0 {
            let first = fits.next()?;
            // Of several frames the one that makes a difference.
            if first.1.literal() > 0 {
                return say(first);
            }
            let said = std::iter::once(first).chain(fits).filter_map(say);
            return said.min_by_key(|said| letters(said));
        }
        let said = fits.take(TRIED).filter_map(say);
        said.min_by_key(|said| letters(said))
    }

    fn said(
        &self,
        msgid: &str,
        own: &Template,
        values: &[&str],
        lookup: &dyn Fn(&str) -> Option<String>,
        depth: usize,
    ) -> Option<String> {
        let translation = lookup(msgid)?;
        let inner = |(number, value): (usize, &&str)| match own.quotes(number) {
            true => (*value).to_owned(),
            false => {
                let said = self.inner(value, lookup, depth + 1);
                said.unwrap_or_else(|| (*value).to_owned())
            }
        };
        let values: Vec<String> = values.iter().enumerate().map(inner).collect();
        Template::read(&translation).fill(&values)
    }

    /// What stands in a placeholder: a message itself, or a list of messages; what leaves the fewest letters is understood best.
    fn inner(
        &self,
        value: &str,
        lookup: &dyn Fn(&str) -> Option<String>,
        depth: usize,
    ) -> Option<String> {
        if depth > DEEPEST || letters(value) == 0 {
            return None;
        }
        let lists = ["; ", ", "].map(|mark| self.list(value, mark, lookup, depth));
        let all = [self.whole(value, lookup, depth)].into_iter().chain(lists);
        all.flatten().min_by_key(|said| letters(said))
    }

    /// A list of messages; single words in it are names.
    fn list(
        &self,
        value: &str,
        mark: &str,
        lookup: &dyn Fn(&str) -> Option<String>,
        depth: usize,
    ) -> Option<String> {
        let parts: Vec<&str> = value.split(mark).collect();
        let said = |part: &&str| match part.contains(' ') {
            true => self.whole(part, lookup, depth),
            false => None,
        };
        if parts.len() < 2 {
            return None;
        }
        let said: Vec<String> = parts
            .iter()
            .map(|part| said(part).unwrap_or_else(|| (*part).to_owned()))
            .collect();
        Some(said.join(mark))
    }
}

#[cfg(test)]
#[path = "template_test.rs"]
mod tests;
