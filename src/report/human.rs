//! Numbers as a person reads them.

/// A number of bytes: `812 B`, `1.2 KiB`, `34.0 MiB`.
pub fn size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1024.0;
    let mut unit = 0;
    // 1023.95 would be rounded to 1024.0.
    while value >= 1023.95 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

/// A time in milliseconds: `0.42 ms`, `37 ms`, `4.31 s`, `2 min 05 s`,
/// `3 h 20 min`.
pub fn duration(milliseconds: f64) -> String {
    if !milliseconds.is_finite() {
        return "–".to_string();
    }
    // The bounds are where rounding would reach the next form's first value.
    let seconds = milliseconds / 1000.0;
    if milliseconds < 9.995 {
        format!("{milliseconds:.2} ms")
    } else if milliseconds < 999.5 {
        format!("{milliseconds:.0} ms")
    } else if seconds < 59.995 {
        format!("{seconds:.2} s")
    } else if seconds < 3599.5 {
        let whole = seconds.round() as u64;
        format!("{} min {:02} s", whole / 60, whole % 60)
    } else {
        let minutes = (seconds / 60.0).round() as u64;
        format!("{} h {:02} min", minutes / 60, minutes % 60)
    }
}

/// A whole number with its thousands apart: `1,234,567`.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A number of things, of which `thing` names one: `1 image`, `2,000 images`.
pub fn things(number: usize, thing: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {thing}{plural}", count(number as u64))
}

/// A fraction of 1 in per cent, two decimals: `99.41 %`.
///
/// Cut, not rounded, so that 9,999.9 of 10,000 never reads as all, and a
/// figure never reads better than it is.
pub fn percent(part: u64, whole: u64) -> String {
    if whole == 0 {
        return "–".to_string();
    }
    let hundredths = u128::from(part) * 10_000 / u128::from(whole);
    format!("{}.{:02} %", hundredths / 100, hundredths % 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (bytes, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1_048_575, "1.0 MiB"),
            (35_651_584, "34.0 MiB"),
            (u64::MAX, "16.0 EiB"),
        ] {
            assert_eq!(size(bytes), text);
        }
    }

    #[test]
    fn one_thing_or_several() {
        assert_eq!(things(0, "image"), "0 images");
        assert_eq!(things(1, "image"), "1 image");
        assert_eq!(things(2000, "image"), "2,000 images");
    }

    #[test]
    fn durations() {
        for (milliseconds, text) in [
            (0.0, "0.00 ms"),
            (0.424, "0.42 ms"),
            (9.996, "10 ms"),
            (37.4, "37 ms"),
            (999.6, "1.00 s"),
            (4312.0, "4.31 s"),
            (59_996.0, "1 min 00 s"),
            (125_000.0, "2 min 05 s"),
            (3_599_900.0, "1 h 00 min"),
            (12_000_000.0, "3 h 20 min"),
            (f64::NAN, "–"),
        ] {
            assert_eq!(duration(milliseconds), text);
        }
    }

    #[test]
    fn counts() {
        for (number, text) in [
            (0, "0"),
            (999, "999"),
            (1000, "1,000"),
            (1_234_567, "1,234,567"),
        ] {
            assert_eq!(count(number), text);
        }
    }

    #[test]
    fn percentages_are_never_better_than_they_are() {
        assert_eq!(percent(9941, 10_000), "99.41 %");
        assert_eq!(percent(99_999, 100_000), "99.99 %");
        assert_eq!(percent(7, 7), "100.00 %");
        assert_eq!(percent(0, 7), "0.00 %");
        assert_eq!(percent(0, 0), "–");
        assert_eq!(percent(u64::MAX, u64::MAX), "100.00 %");
    }
}
