//! Pictures: horizontal bars, and lines over an axis, as SVG that is readable wherever it is shown.

use std::fmt::Write as _;

use crate::stats::{count, quantile};

/// Of the palette of Okabe and Ito, which most eyes tell apart.
const COLORS: [&str; 5] = ["#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9"];
const WIDTH: f64 = 860.0;
const MARGIN: f64 = 24.0;
const LINE: f64 = 20.0;

/// A bar for each row, of one segment for each series.
pub struct Bars<'a> {
    pub title: &'a str,
    pub unit: &'a str,
    pub series: &'a [&'a str],
    pub rows: Vec<Row>,
}

pub struct Row {
    label: String,
    values: Vec<f64>,
}

impl Row {
    pub fn new(label: impl Into<String>, values: impl IntoIterator<Item = f64>) -> Self {
        Self { label: label.into(), values: values.into_iter().collect() }
    }
}

/// A line for each series; `x` names the places on the axis, left to right.
pub struct Lines<'a> {
    pub title: &'a str,
    pub unit: &'a str,
    pub x_title: &'a str,
    pub x: Vec<String>,
    /// Name and a value for each place.
    pub series: Vec<(&'a str, Vec<f64>)>,
}

impl Bars<'_> {
    pub fn svg(&self) -> String {
        let longest = self.rows.iter().map(|row| row.label.chars().count()).max().unwrap_or_default();
        let left = MARGIN + 7.2 * count(longest) + 10.0;
        let right = WIDTH - MARGIN - 50.0;
        let scale = Scale::new(self.reach(), left, right);

        let mut picture = Picture::new(self.title, self.unit, self.series);
        let top = picture.y;
        let bottom = top + LINE * count(self.rows.len()) + 6.0;
        for tick in scale.ticks() {
            let x = scale.at(tick);
            picture.line((x, top), (x, bottom), "#dddddd");
            picture.text(x, bottom + 16.0, "middle", "#555555", &number(tick));
        }
        for (index, row) in self.rows.iter().enumerate() {
            let y = top + 4.0 + LINE * count(index);
            picture.text(left - 8.0, y + 12.0, "end", "#111111", &row.label);
            let mut sum = 0.0;
            for (value, color) in row.values.iter().zip(COLORS) {
                let (from, to) = (scale.at(sum).min(right), scale.at(sum + value).min(right));
                picture.rectangle(from, y, to - from, LINE - 5.0, color);
                sum += value;
            }
            let end = scale.at(sum);
            if end > right {
                picture.gap(right - 30.0, y, LINE - 5.0);
            }
            picture.text(end.min(right) + 6.0, y + 12.0, "start", "#111111", &number(sum));
        }
        picture.end(bottom + 30.0)
    }

    /// The greatest value that the axis has room for. A few bars that are far longer than all others are cut, so that the others
    /// can be told apart.
    fn reach(&self) -> f64 {
        let totals: Vec<_> = self.rows.iter().map(|row| row.values.iter().sum::<f64>()).collect();
        let (most, all) = (quantile(&totals, 0.9), quantile(&totals, 1.0));
        if all > 3.0 * most { most } else { all }
    }
}

impl Lines<'_> {
    pub fn svg(&self) -> String {
        const HEIGHT: f64 = 280.0;
        let (left, right) = (MARGIN + 60.0, WIDTH - MARGIN - 20.0);
        let names: Vec<_> = self.series.iter().map(|(name, _)| *name).collect();
        let mut picture = Picture::new(self.title, self.unit, &names);
        let (top, bottom) = (picture.y + 6.0, picture.y + 6.0 + HEIGHT);
        let greatest = self.series.iter().flat_map(|(_, values)| values).copied().fold(0.0, f64::max);
        let scale = Scale::new(greatest, bottom, top);
        for tick in scale.ticks() {
            let y = scale.at(tick);
            picture.line((left, y), (right, y), "#dddddd");
            picture.text(left - 8.0, y + 4.0, "end", "#555555", &number(tick));
        }
        // Half a step of air on both sides.
        let step = (right - left) / count(self.x.len().max(1));
        let place = |index: usize| left + step * (count(index) + 0.5);
        for (index, label) in self.x.iter().enumerate() {
            picture.line((place(index), bottom), (place(index), bottom + 5.0), "#555555");
            picture.text(place(index), bottom + 20.0, "middle", "#555555", label);
        }
        picture.line((left, bottom), (right, bottom), "#555555");
        picture.line((left, top), (left, bottom), "#555555");
        picture.text(f64::midpoint(left, right), bottom + 42.0, "middle", "#111111", self.x_title);
        for ((_, values), color) in self.series.iter().zip(COLORS) {
            let points: Vec<_> = values.iter().enumerate().map(|(index, value)| (place(index), scale.at(*value))).collect();
            picture.path(&points, color);
        }
        picture.end(bottom + 52.0)
    }
}

/// From values to places, with ticks at round values.
struct Scale {
    step: f64,
    steps: u32,
    from: f64,
    to: f64,
}

impl Scale {
    fn new(greatest: f64, from: f64, to: f64) -> Self {
        let greatest = if greatest > 0.0 { greatest } else { 1.0 };
        let magnitude = 10_f64.powf((greatest / 5.0).log10().floor());
        let round = [1.0, 2.0, 5.0, 10.0].map(|digit| digit * magnitude);
        let step = round.into_iter().find(|step| greatest / step <= 6.0).unwrap_or(greatest);
        let steps = (1..=6).find(|steps| step * f64::from(*steps) >= greatest).unwrap_or(1);
        Self { step, steps, from, to }
    }

    fn at(&self, value: f64) -> f64 {
        self.from + (self.to - self.from) * value / (self.step * f64::from(self.steps))
    }

    fn ticks(&self) -> impl Iterator<Item = f64> + use<> {
        let step = self.step;
        (0..=self.steps).map(move |index| step * f64::from(index))
    }
}

/// A value as it is written beside its place.
fn number(value: f64) -> String {
    crate::report::figure(value)
}

struct Picture {
    body: String,
    /// Where there is room below what has been drawn.
    y: f64,
}

impl Picture {
    /// With a title, its unit, and what the colors mean if there is more than one.
    fn new(title: &str, unit: &str, series: &[&str]) -> Self {
        let mut picture = Self { body: String::new(), y: MARGIN + 6.0 };
        let y = picture.y;
        let title = format!(
            r##"<tspan font-size="16" font-weight="bold">{}</tspan><tspan fill="#555555">  ({})</tspan>"##,
            escape(title),
            escape(unit)
        );
        let _ = writeln!(picture.body, r##"<text x="{MARGIN}" y="{y}" fill="#111111" xml:space="preserve">{title}</text>"##);
        picture.y += 14.0;
        if series.len() > 1 {
            let mut x = MARGIN;
            for (name, color) in series.iter().zip(COLORS) {
                let y = picture.y;
                picture.rectangle(x, y, 12.0, 12.0, color);
                picture.text(x + 18.0, y + 11.0, "start", "#111111", name);
                x += 18.0 + 6.8 * count(name.chars().count()) + 24.0;
            }
            picture.y += 24.0;
        }
        picture
    }

    fn text(&mut self, x: f64, y: f64, anchor: &str, color: &str, text: &str) {
        let text = escape(text);
        // Writing into a string cannot fail, here and below.
        let _ = writeln!(self.body, r#"<text x="{x:.1}" y="{y:.1}" text-anchor="{anchor}" fill="{color}">{text}</text>"#);
    }

    fn rectangle(&mut self, x: f64, y: f64, width: f64, height: f64, color: &str) {
        let _ = writeln!(self.body, r#"<rect x="{x:.1}" y="{y:.1}" width="{width:.1}" height="{height:.1}" fill="{color}"/>"#);
    }

    /// What tells that a bar is cut.
    fn gap(&mut self, x: f64, y: f64, height: f64) {
        let points =
            format!("{x:.1},{:.1} {:.1},{y:.1} {:.1},{y:.1} {:.1},{:.1}", y + height, x + 5.0, x + 11.0, x + 6.0, y + height);
        let _ = writeln!(self.body, r##"<polygon points="{points}" fill="#ffffff"/>"##);
    }

    fn line(&mut self, from: (f64, f64), to: (f64, f64), color: &str) {
        let ((x1, y1), (x2, y2)) = (from, to);
        let _ = writeln!(self.body, r#"<line x1="{x1:.1}" y1="{y1:.1}" x2="{x2:.1}" y2="{y2:.1}" stroke="{color}"/>"#);
    }

    /// A line through points, with a dot on each.
    fn path(&mut self, points: &[(f64, f64)], color: &str) {
        let list: Vec<_> = points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        let list = list.join(" ");
        let _ = writeln!(self.body, r#"<polyline points="{list}" fill="none" stroke="{color}" stroke-width="2.5"/>"#);
        for (x, y) in points {
            let _ = writeln!(self.body, r#"<circle cx="{x:.1}" cy="{y:.1}" r="4" fill="{color}"/>"#);
        }
    }

    fn end(self, height: f64) -> String {
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height:.0}\" width=\"{WIDTH}\" \
             height=\"{height:.0}\" font-family=\"system-ui, 'Helvetica Neue', Arial, sans-serif\" font-size=\"13\">\n\
             <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n{}</svg>\n",
            self.body
        )
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_reach_the_greatest() {
        for (greatest, expected) in [
            (9.3, &[0.0, 2.0, 4.0, 6.0, 8.0, 10.0][..]),
            (1.0, &[0.0, 0.2, 0.4, 0.6, 0.8, 1.0]),
            (2400.0, &[0.0, 500.0, 1000.0, 1500.0, 2000.0, 2500.0]),
        ] {
            let ticks: Vec<_> = Scale::new(greatest, 0.0, 1.0).ticks().collect();
            let close = ticks.iter().zip(expected).all(|(tick, expected)| (tick - expected).abs() < 1e-9);
            assert!(close && ticks.len() == expected.len(), "{greatest}: {ticks:?}");
        }
    }
}
