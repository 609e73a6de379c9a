//! Takes comments and literals out of Rust source, so that rules see code alone. Not a parser:
//! it knows only where comments, strings and character literals begin and end.

/// The source with comments and the insides of literals replaced by spaces; line breaks stay, so
/// that line numbers stay.
pub(crate) fn code_of(text: &str) -> String {
    let source: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while let Some(&here) = source.get(at) {
        let end = literal_end(&source, at);
        if end == at {
            out.push(here);
            at += 1;
            continue;
        }
        let blanked = source.iter().take(end).skip(at);
        out.extend(blanked.map(|c| if *c == '\n' { '\n' } else { ' ' }));
        at = end;
    }
    out
}

/// Where the comment or literal that begins at `at` ends; `at` itself if none begins there.
fn literal_end(source: &[char], at: usize) -> usize {
    let is = |offset: usize, c: char| source.get(at + offset) == Some(&c);
    if is(0, '/') && is(1, '/') {
        return position(source, at, |c| c == '\n');
    }
    if is(0, '/') && is(1, '*') {
        return block_comment_end(source, at);
    }
    if is(0, '"') {
        return string_end(source, at + 1);
    }
    if is(0, '\'') {
        return character_end(source, at);
    }
    let inside_a_word = at > 0 && source.get(at - 1).is_some_and(|c| is_word(*c));
    if is(0, 'r') && !inside_a_word || is(0, 'r') && at > 0 && source.get(at - 1) == Some(&'b') {
        return raw_string_end(source, at);
    }
    at
}

pub(crate) fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn position(source: &[char], from: usize, stop: impl Fn(char) -> bool) -> usize {
    source.iter().skip(from).position(|c| stop(*c)).map_or(source.len(), |n| from + n)
}

fn block_comment_end(source: &[char], start: usize) -> usize {
    let (mut at, mut depth) = (start, 0_usize);
    while at < source.len() {
        match (source.get(at), source.get(at + 1)) {
            (Some('/'), Some('*')) => (depth, at) = (depth + 1, at + 2),
            (Some('*'), Some('/')) => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            return at;
        }
    }
    source.len()
}

fn string_end(source: &[char], mut at: usize) -> usize {
    while let Some(c) = source.get(at) {
        match c {
            '\\' => at += 2,
            '"' => return at + 1,
            _ => at += 1,
        }
    }
    source.len()
}

/// A character literal, not a lifetime: `'x'` or `'\..'`.
fn character_end(source: &[char], at: usize) -> usize {
    if source.get(at + 1) == Some(&'\\') {
        return (position(source, at + 3, |c| c == '\'') + 1).min(source.len());
    }
    if source.get(at + 2) == Some(&'\'') { at + 3 } else { at }
}

fn raw_string_end(source: &[char], at: usize) -> usize {
    let quote = position(source, at + 1, |c| c != '#');
    if source.get(quote) != Some(&'"') {
        return at;
    }
    let hashes = quote - at - 1;
    let closes = |end: usize| {
        source.get(end) == Some(&'"')
            && (1..=hashes).all(|offset| source.get(end + offset) == Some(&'#'))
    };
    (quote + 1..source.len()).find(|end| closes(*end)).map_or(source.len(), |end| end + hashes + 1)
}

#[cfg(test)]
mod tests {
    use super::code_of;

    fn words(text: &str) -> Vec<String> {
        code_of(text).split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn comments_and_literals_vanish() {
        assert_eq!(words("a // b\nc /* d /* e */ f */ g"), ["a", "c", "g"]);
        assert_eq!(words(r#"a "b \" c" d"#), ["a", "d"]);
        assert_eq!(words("a r#\"b \" c\"# br\"x\" d"), ["a", "b", "d"]);
        assert_eq!(words(r"a '\'' '\u{1f}' '{' b"), ["a", "b"]);
    }

    #[test]
    fn code_stays_on_its_line() {
        assert_eq!(words("fn f<'a>(r: &'a str)"), ["fn", "f<'a>(r:", "&'a", "str)"]);
        assert_eq!(words("r#type for bar"), ["r#type", "for", "bar"]);
        let code = code_of("\"one\ntwo\"\nlast");
        assert_eq!(code.lines().nth(2), Some("last"));
    }
}
