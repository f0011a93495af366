//! Every help text, every wrong call and every bad input that shows on the
//! command line, as snapshots under `tests/cmd/`.

#[test]
fn command_line_snapshots() {
    trycmd::TestCases::new()
        // Help is wrapped to the terminal's width: give it one.
        .env("COLUMNS", "100")
        .env("NO_COLOR", "1")
        .case("tests/cmd/*.trycmd");
}
