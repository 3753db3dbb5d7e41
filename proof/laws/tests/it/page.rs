//! The page of the laws is the one that is checked in.

use super::block_on;

#[test]
fn the_page_of_the_laws_is_up_to_date() {
    let page = block_on(statehold_laws::page()).expect("every stack starts");
    let checked_in = include_str!("../../../../docs/reference/laws.md");
    let differs = page.lines().zip(checked_in.lines()).find(|(new, old)| new != old);
    assert!(
        page == checked_in,
        "docs/reference/laws.md is out of date: run `cargo run -p statehold-laws --example page`; first difference: {differs:?}"
    );
}
