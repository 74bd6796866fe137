//! As much of SVG as the pictures need. Every text says how wide it is, so that it looks the same in
//! any font, and the picture is as large as what is in it.

use std::fmt::Write;

/// Of one character, in pixels.
pub(super) const CHARACTER: i32 = 7;
/// From one line of text to the next.
pub(super) const LINE: i32 = 16;

pub(super) const INK: &str = "#1f2933";
pub(super) const FAINT: &str = "#7b8794";

/// A picture in the making.
#[derive(Default)]
pub(super) struct Svg {
    body: String,
    right: i32,
    bottom: i32,
}

/// How wide a text is.
pub(super) fn width(text: &str) -> i32 {
    i32::try_from(text.chars().count()).unwrap_or(i32::MAX / CHARACTER) * CHARACTER
}

impl Svg {
    fn reach(&mut self, x: i32, y: i32) {
        self.right = self.right.max(x);
        self.bottom = self.bottom.max(y);
    }

    /// Text that begins at `x` and stands on `y`.
    pub fn text(&mut self, x: i32, y: i32, text: &str, ink: &str, bold: bool) {
        if text.is_empty() {
            return;
        }
        let weight = if bold { " font-weight=\"bold\"" } else { "" };
        let _ = writeln!(
            self.body,
            "<text x=\"{x}\" y=\"{y}\" textLength=\"{}\" lengthAdjust=\"spacingAndGlyphs\" \
             fill=\"{ink}\"{weight}>{}</text>",
            width(text),
            escaped(text)
        );
        self.reach(x + width(text), y + 4);
    }

    /// What an operation is drawn as: `place` is where it was invoked, `told` all that it did.
    pub fn operation(&mut self, place: u64, [x, y, w, h]: [i32; 4], fill: &str, told: &str) {
        let _ = writeln!(
            self.body,
            "<rect id=\"op-{place}\" x=\"{x}\" y=\"{y}\" width=\"{w}\" height=\"{h}\" rx=\"3\" \
             fill=\"{fill}\" stroke=\"{INK}\"><title>{}</title></rect>",
            escaped(told)
        );
        self.reach(x + w, y + h);
    }

    /// A line through points.
    pub fn line(&mut self, points: &[[i32; 2]], ink: &str, dashed: bool) {
        let mut path = String::new();
        for &[x, y] in points {
            let _ = write!(path, "{x},{y} ");
            self.reach(x, y);
        }
        let dashes = if dashed {
            " stroke-dasharray=\"4 3\""
        } else {
            ""
        };
        let _ = writeln!(
            self.body,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{ink}\"{dashes}/>",
            path.trim_end()
        );
    }

    /// The head of an arrow: its tip, and from where it comes.
    pub fn head(&mut self, [x, y]: [i32; 2], [dx, dy]: [i32; 2], ink: &str) {
        let (back_x, back_y) = (x - 7 * dx, y - 7 * dy);
        let _ = writeln!(
            self.body,
            "<polygon points=\"{x},{y} {},{} {},{}\" fill=\"{ink}\"/>",
            back_x + 4 * dy,
            back_y + 4 * dx,
            back_x - 4 * dy,
            back_y - 4 * dx
        );
        self.reach(x.max(back_x) + 4, y.max(back_y) + 4);
    }

    pub fn finish(self, title: &str) -> String {
        let (w, h) = (self.right + 12, self.bottom + 12);
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {w} {h}\" width=\"{w}\" \
             height=\"{h}\" font-family=\"monospace\" font-size=\"11.5\">\n<title>{}</title>\n\
             <rect width=\"{w}\" height=\"{h}\" fill=\"#ffffff\"/>\n{}</svg>\n",
            escaped(title),
            self.body
        )
    }
}

/// Text as XML may have it.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped += "&amp;",
            '<' => escaped += "&lt;",
            '>' => escaped += "&gt;",
            '"' => escaped += "&quot;",
            '\n' | '\t' | '\r' => escaped.push(' '),
            // XML has no word for these.
            '\0'..='\x1f' | '\u{7f}'..='\u{9f}' | '\u{fffe}' | '\u{ffff}' => {
                escaped.push('\u{fffd}')
            }
            other => escaped.push(other),
        }
    }
    escaped
}
