//! Kea's JSON as plain JSON: comments and commas at the end of a list become spaces, so that lines
//! and columns stay. Understands nothing else.

/// The same text as JSON. `Err` says what can't be read here.
pub(super) fn plain(text: &str) -> Result<String, String> {
    let mut out = Vec::with_capacity(text.len());
    let bytes = text.as_bytes();
    let mut at = 0;
    // Where the last comma stands, if only space and comments came since.
    let mut comma = None;
    while let Some(&byte) = bytes.get(at) {
        let rest = bytes.get(at..).unwrap_or_default();
        let length = match byte {
            b'"' => string_bytes(rest),
            b'#' => blank(&mut out, rest, line_bytes(rest)),
            b'/' if rest.starts_with(b"//") => blank(&mut out, rest, line_bytes(rest)),
            b'/' if rest.starts_with(b"/*") => {
                let end = rest.windows(2).skip(2).position(|pair| pair == b"*/");
                let end =
                    end.ok_or_else(|| format!("line {}: the comment has no end", line(&out)))?;
                blank(&mut out, rest, end + 4)
            }
            b'<' if rest.starts_with(b"<?include") => {
                let text = "`<?include` is not read: have the server write all of its configuration \
                            with the command config-write";
                return Err(format!("line {}: {text}", line(&out)));
            }
            _ => 1,
        };
        if out.len() == at {
            match byte {
                b',' => comma = Some(at),
                b'}' | b']' => {
                    if let Some(comma) = comma.and_then(|comma| out.get_mut(comma)) {
                        *comma = b' ';
                    }
                    comma = None;
                }
                _ if byte.is_ascii_whitespace() => {}
                _ => comma = None,
            }
            out.extend_from_slice(rest.get(..length).unwrap_or(rest));
        }
        at = out.len();
    }
    String::from_utf8(out).map_err(|error| error.to_string())
}

/// Puts spaces in the place of so many bytes; line ends stay.
fn blank(out: &mut Vec<u8>, rest: &[u8], length: usize) -> usize {
    let bytes = rest.iter().take(length);
    out.extend(bytes.map(|byte| if *byte == b'\n' { b'\n' } else { b' ' }));
    length
}

fn line_bytes(rest: &[u8]) -> usize {
    rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len())
}

/// A string with its quotes.
fn string_bytes(rest: &[u8]) -> usize {
    let mut is_escaped = false;
    for (at, byte) in rest.iter().enumerate().skip(1) {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

fn line(out: &[u8]) -> usize {
    out.iter().filter(|byte| **byte == b'\n').count() + 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Nothing moves, whatever the text is.
        #[test]
        fn places_stay(pieces in prop::collection::vec("[#/*<>?,{}\\[\\]\"\\\\ \n1aé]{0,4}", 0..12)) {
            let text = pieces.concat();
            if let Ok(plain) = plain(&text) {
                prop_assert_eq!(plain.len(), text.len());
                prop_assert_eq!(plain.matches('\n').count(), text.matches('\n').count());
            }
        }
    }

    #[test]
    fn comments_and_last_commas_become_spaces_and_lines_stay() {
        let text = "# a\n{ // b, }\n \"x\": [1, /* c\n */ 2, ], \"y\": \"// # \\\" /*\", // d\n}\n";
        let plain = plain(text).unwrap();
        assert_eq!(plain.len(), text.len());
        assert_eq!(plain.lines().count(), text.lines().count());
        let value: serde_json::Value = serde_json::from_str(&plain).unwrap();
        assert_eq!(value, serde_json::json!({ "x": [1, 2], "y": "// # \" /*" }));
    }

    #[test]
    fn what_can_not_be_read_is_told_with_its_line() {
        assert!(plain("{\n/* }").unwrap_err().starts_with("line 2: the comment"));
        assert!(plain("{\n\n<?include \"x\"?>}").unwrap_err().starts_with("line 3: "));
        // A comma alone is no list: the JSON reader says so.
        assert!(serde_json::from_str::<serde_json::Value>(&plain("[,]").unwrap()).is_ok());
        assert_eq!(plain("\"open").unwrap(), "\"open");
        assert_eq!(plain("").unwrap(), "");
        assert_eq!(plain("/* é */1").unwrap().trim(), "1");
    }
}
